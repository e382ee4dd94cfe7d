"""Examples as the store holds them, in an order of their own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.cache.rowfile import Rows


class Examples(NamedTuple):
    """Rows of the store, a table a tensor of the input, by their numbers there."""

    tables: tuple[Rows, ...]
    numbers: np.ndarray

    def take(self, rows: Any, draw: int = 0) -> tuple[np.ndarray, ...]:
        """The examples of those numbers, an array (n, ...) a tensor, as stored; they are the same at each `draw`."""
        numbers = self.numbers[np.asarray(rows, np.int64)]
        return tuple(table.take(numbers) for table in self.tables)
