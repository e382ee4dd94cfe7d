"""Rows in a file without a name: they are gone with the object, or the process, that wrote them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.cache.positioned import write_all
from tlapp.engine.cache.rowfile import Rows, row_bytes


class Spool:
    """Some rows of a table, by their numbers there.

    Args:
        folder: where the file lies.
        places: the numbers of the rows in the table, ascending, (n,).

    Raises:
        OSError: from `put` too: the disk is full, or the folder cannot be written.
    """

    def __init__(self, folder: Path, places: np.ndarray, shape: Sequence[int], dtype: Any):
        self._places, self._dtype, self._done = places, np.dtype(dtype), 0
        self._width = row_bytes(shape, self._dtype)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            fd = os.dup(file.fileno())
        header = {"rows": len(places), "shape": [*shape], "dtype": self._dtype.str, "extra": {}}
        self._fd, self._rows = fd, Rows(folder, fd, header)  # which closes it

    def put(self, array: np.ndarray) -> None:
        """Write the next rows, (n, ...)."""
        content = np.ascontiguousarray(array, self._dtype)
        write_all(self._fd, memoryview(content.reshape(-1).view(np.uint8).data), self._done * self._width)
        self._done += len(array)

    def holds(self, numbers: np.ndarray) -> np.ndarray:
        """Which rows of the table, (m,), were written, (m,) bool."""
        return np.isin(numbers, self._places[: self._done])

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Rows that it holds, by their numbers in the table: (m, ...)."""
        return self._rows.take(np.searchsorted(self._places, numbers))
