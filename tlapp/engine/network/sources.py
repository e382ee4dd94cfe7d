"""Where a phase gets the activations of a stream: from the front, or from what was stored of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from tlapp.engine.cache import rowfile
from tlapp.engine.inputs.examples import Table
from tlapp.engine.network.engines import LiteFront
from tlapp.engine.network.front import Front

MEMORY = 256 * 2**20
"""Bytes of a stream's activations that are kept in memory; what is larger is read from its file, row by row."""


class Source(Protocol):
    """Where a phase gets the activations of one stream."""

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        """Arrays (len(rows), ...), one a tensor that crosses the cut; `draw` chooses among random versions (the epoch)."""
        ...


class Computed:
    """The front, run anew at each call."""

    def __init__(self, examples: Source, front: Front | LiteFront):
        self.examples, self.front = examples, front

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        """The activations of the examples of those numbers."""
        return tuple(self.front(self.examples.take(rows, draw)))


class Stored:
    """Rows of activations, one table a tensor that crosses; they are kept in memory where all `copies` of them are small."""

    def __init__(self, tables: Sequence[Table], rows: np.ndarray, copies: int = 1):
        size = copies * sum(len(rows) * rowfile.row_bytes(table.shape, table.dtype) for table in tables)
        self._arrays = [table.take(rows) for table in tables] if size <= MEMORY else None
        self._tables, self._rows = tables, rows

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        """The stored activations of the examples of those numbers."""
        if self._arrays is not None:
            return tuple(table[rows] for table in self._arrays)
        return tuple(table.take(self._rows[rows]) for table in self._tables)


class Views:
    """Several stored copies of each example; each draw takes one of them for each row, all rows the same where `together`."""

    def __init__(self, views: Sequence[Source], together: bool):
        self.views, self.together = views, together

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        """The rows of those numbers, each from the copy whose turn it is."""
        choice = (rows * (0 if self.together else 7919) + draw) % len(self.views)
        found: tuple[np.ndarray, ...] = ()
        for number in np.unique(choice):
            where = np.flatnonzero(choice == number)
            part = self.views[number].take(rows[where], draw)
            found = found or tuple(np.empty((len(rows), *table.shape[1:]), table.dtype) for table in part)
            for table, rows_of_it in zip(found, part, strict=True):
                table[where] = rows_of_it
        return found or self.views[0].take(rows, draw)


def stored_dtype(tensor: Any) -> np.dtype:
    """The NumPy dtype in which a symbolic tensor's values are stored: its own, or float32 where NumPy has none such."""
    return np.dtype("float32" if tensor.dtype == "bfloat16" else tensor.dtype)
