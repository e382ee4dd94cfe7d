"""Columns of what is known of rows, in arrays: as Python's objects, the digests of a million rows take seven times the memory.

In keys they are the lists that they stand for; in the headers of entries, their arrays' bytes.
"""

from __future__ import annotations

import binascii
import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

_BLOCK = 4096
_WIDTH = 16
_NONE = "0" * 2 * _WIDTH
_KIND, _ROWS = "column", "base64"


class Column(Sequence[Any]):
    """Values as rows of an array, made when they are asked for."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return type(self)(self.array[place])
        return next(self._values(self.array[place][None]))

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), _BLOCK):
            yield from self._values(self.array[start : start + _BLOCK])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Column) and np.array_equal(self.array, other.array)

    __hash__ = None  # type: ignore[assignment]

    def take(self, places: Any) -> Any:
        """The values of these places, or those where a mask is true."""
        return type(self)(self.array[places])

    def json(self) -> Iterator[str]:
        """The list of its values, in pieces."""
        yield "["
        for start in range(0, len(self), _BLOCK):
            yield ", " * (start > 0) + json.dumps([*self._values(self.array[start : start + _BLOCK])])[1:-1]
        yield "]"

    @classmethod
    @abstractmethod
    def none(cls, count: int) -> Any:
        """So many that are not known yet."""

    @abstractmethod
    def _values(self, rows: np.ndarray) -> Iterator[Any]:
        """The values that rows of the array stand for."""


class Digests(Column):
    """Digests of 16 bytes, as hexadecimal text where they are asked for; "" where there is none, for which zeros stand."""

    @classmethod
    def none(cls, count: int) -> Digests:
        """So many that are not known yet."""
        return cls(np.zeros((count, _WIDTH), np.uint8))

    @classmethod
    def of(cls, values: Iterable[str]) -> Digests:
        """These as a column."""
        if isinstance(values, Digests):
            return values
        content = bytes.fromhex("".join(text or _NONE for text in values))
        return cls(np.frombuffer(bytearray(content), np.uint8).reshape(-1, _WIDTH))

    def __setitem__(self, place: int, text: str) -> None:
        self.array[place] = np.frombuffer(bytes.fromhex(text or _NONE), np.uint8)

    @property
    def known(self) -> np.ndarray:
        """Where there is one, (n,) bool."""
        return np.asarray(self.array.any(axis=1))

    def only(self, places: np.ndarray) -> Digests:
        """Those of these places where they are, and none elsewhere."""
        others = Digests.none(len(self))
        others.array[places] = self.array[places]
        return others

    def numbered(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of each, from 0 by where they come first, -1 where there is none; and where each number comes first."""
        keys = np.ascontiguousarray(self.array).view(np.uint64).T
        order = np.lexsort(keys)  # equal ones by their places
        order = order[self.known[order]]
        new = np.arange(len(order)) == 0
        for key in keys:
            ordered = key[order]
            new[1:] |= ordered[1:] != ordered[:-1]
        firsts, numbers = order[new], np.full(len(self), -1, np.int64)
        numbers[order] = np.argsort(np.argsort(firsts))[np.cumsum(new) - 1]
        return numbers, np.sort(firsts)

    def places_in(self, others: Digests) -> np.ndarray:
        """Where each comes first among others; -1 where it does not, or where there is none."""
        if not len(others):
            return np.full(len(self), -1, np.int64)
        known, first = np.unique(others._keys(), return_index=True)
        at = np.minimum(np.searchsorted(known, self._keys()), len(known) - 1)
        return np.where((known[at] == self._keys()) & self.known, first[at], -1)

    def _keys(self) -> np.ndarray:
        return np.ascontiguousarray(self.array).view(f"S{_WIDTH}").ravel()

    def _values(self, rows: np.ndarray) -> Iterator[str]:
        text, step = rows.tobytes().hex(), 2 * _WIDTH
        for start in range(0, len(text), step):
            part = text[start : start + step]
            yield "" if part == _NONE else part


class Shapes(Column):
    """Widths and heights; None where they are not known, for which zeros stand."""

    @classmethod
    def none(cls, count: int) -> Shapes:
        """So many that are not known yet."""
        return cls(np.zeros((count, 2), np.int32))

    @classmethod
    def of(cls, shapes: Sequence[Sequence[int] | None]) -> Shapes:
        """These as a column."""
        if isinstance(shapes, Shapes):
            return shapes
        return cls(np.array([shape or (0, 0) for shape in shapes], np.int32).reshape(-1, 2))

    def __setitem__(self, place: int, shape: Sequence[int] | None) -> None:
        self.array[place] = shape or 0

    def _values(self, rows: np.ndarray) -> Iterator[tuple[int, int] | None]:
        for width, height in rows.tolist():
            yield (width, height) if width else None


def as_json(value: Any) -> Iterator[str]:
    """What json.dumps gives, in pieces, so that a long column is at no time a text as a whole."""
    if isinstance(value, Column):
        yield from value.json()
    elif isinstance(value, tuple):
        for place, each in enumerate(value):
            yield ", " if place else "["
            yield from as_json(each)
        yield "]" if value else "[]"
    elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for place, (key, each) in enumerate(value.items()):
            yield f"{', ' if place else '{'}{json.dumps(key)}: "
            yield from as_json(each)
        yield "}" if value else "{}"
    else:
        yield json.dumps(value)


def packed(column: Column) -> dict[str, str]:
    """A column as JSON can hold it; what `json.JSONEncoder` takes as its `default`."""
    return {_KIND: type(column).__name__, _ROWS: binascii.b2a_base64(column.array.tobytes(), newline=False).decode()}


def unpacked(found: dict[str, Any]) -> Any:
    """A column again, where an object is one that `packed` made; what `json.loads` takes as its `object_hook`."""
    if found.keys() != {_KIND, _ROWS}:
        return found
    kind: Any = {"Digests": Digests, "Shapes": Shapes}[found[_KIND]]
    none = kind.none(0).array
    return kind(np.frombuffer(bytearray(binascii.a2b_base64(found[_ROWS])), none.dtype).reshape(-1, none.shape[1]))
