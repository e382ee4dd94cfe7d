"""Columns of what is known of rows, in arrays: as Python's objects, the digests of a million rows take seven times the memory.

In JSON they are the lists that they stand for.
"""

from __future__ import annotations

import binascii
import json
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

_BLOCK = 4096
_WIDTH = 16
_NONE = "0" * 2 * _WIDTH
_PITCH = 2 * _WIDTH + 4  # of a digest in JSON: its text, two quotes, a comma and a blank
_COLUMN_HERE = b"a column"
_COLUMN = re.compile(rb'"(digests|names|shapes)": \[([][nul" ,0-9a-f]+)\]')


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


def from_json(text: bytes | bytearray) -> dict[str, Any]:
    """What json.loads gives of the header of an entry, but its columns as such: their lists are never made."""
    columns: dict[str, Column] = {}
    rest, done = [], 0
    for match in _COLUMN.finditer(text):
        name = match[1].decode()
        column = None if name in columns else (_shapes if name == "shapes" else _digests)(text, *match.span(2))
        if column is not None:
            columns[name] = column
            rest += [text[done : match.start()], b'"%s": "%s"' % (match[1], _COLUMN_HERE)]
            done = match.end()
    header = json.loads(b"".join([*rest, text[done:]]))
    if any(header["extra"].get(name) != _COLUMN_HERE.decode() for name in columns):  # they are somewhere else in it
        return json.loads(text)
    header["extra"].update(columns)
    return header


def _digests(text: bytes | bytearray, begin: int, end: int) -> Digests | None:
    """Of a part of JSON, what lies between the brackets of a list; None where it holds something else."""
    content = bytearray()
    while begin < end:
        stop = text.find(b",", begin + _BLOCK * _PITCH, end)
        stop = end if stop < 0 else stop
        part = np.frombuffer(text[begin:stop].replace(b'""', b'"%s"' % _NONE.encode()) + b", ", np.uint8)
        rows, begin = part[: len(part) // _PITCH * _PITCH].reshape(-1, _PITCH), stop + 2
        if len(part) % _PITCH or not (rows[:, [0, -3]] == ord('"')).all():
            return None
        try:
            content += binascii.unhexlify(rows[:, 1:-3].tobytes())
        except binascii.Error:
            return None
    return Digests(np.frombuffer(content, np.uint8).reshape(-1, _WIDTH))


def _shapes(text: bytes | bytearray, begin: int, end: int) -> Shapes | None:
    """Of a part of JSON, what lies between the brackets of a list; None where it holds something else."""
    part = text[begin:end]
    plain = part.replace(b"null", b"0, 0").translate(None, b"[] ")
    if plain.translate(None, b"0123456789,"):
        return None
    numbers = np.fromstring(plain.decode(), np.int32, sep=",")
    return Shapes(numbers.reshape(-1, 2)) if len(numbers) == 2 * (part.count(b"[") + part.count(b"null")) else None
