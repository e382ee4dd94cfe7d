"""Examples as the store holds them, or as they are decoded, in an order of their own."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np


class Table(Protocol):
    """Rows of one tensor of examples, wherever they come from.

    Attributes:
        extra: what is known of the rows; the first table of an input holds "digests", "bad" and "shapes", see `rows`.
    """

    extra: dict[str, Any]

    @property
    def key(self) -> str:
        """Of the entry of the store that holds these rows, or would."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of the rows."""
        ...

    def __len__(self) -> int: ...

    def take(self, indices: Any) -> np.ndarray:
        """Rows of those numbers, in that order, repeats allowed: (n, *shape)."""
        ...


class Examples(NamedTuple):
    """Rows of tables, a table a tensor of the input, by their numbers there."""

    tables: tuple[Table, ...]
    numbers: np.ndarray

    def take(self, rows: Any, draw: int = 0) -> tuple[np.ndarray, ...]:
        """The examples of those numbers, an array (n, ...) a tensor, as stored; they are the same at each `draw`."""
        numbers = self.numbers[np.asarray(rows, np.int64)]
        return tuple(table.take(numbers) for table in self.tables)
