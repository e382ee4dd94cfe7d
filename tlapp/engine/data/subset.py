"""Examples that were read, as columns: a million of them as objects would take a gigabyte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tlapp.engine.cache.columns import Digests
from tlapp.engine.data.tables import Item


class Known(NamedTuple):
    """All that is known of items that were listed.

    Attributes:
        rows: of each item in the store, (n,) int64.
        sizes: how many bytes its source has, (n,) int64.
        files: the digest of its source's bytes.
        contents: the digest of the arrays of each row.
        same: a number of each row that rows of the same content share.
    """

    items: Sequence[Item]
    rows: np.ndarray
    sizes: np.ndarray
    files: Digests
    contents: Digests
    same: np.ndarray

    def parts(self, streams: Mapping[str, Sequence[Item]]) -> dict[str, Subset]:
        """The examples of each stream, whose items are one after another."""
        ends = np.cumsum([len(listed) for listed in streams.values()]).tolist()
        bounds = zip(streams, [0, *ends], ends, strict=False)
        return {name: Subset(self, np.arange(begin, end)) for name, begin, end in bounds}


def unread(streams: Mapping[str, Sequence[Item]]) -> dict[str, Subset]:
    """The examples of streams as if all could be read, and copies were those of the same source alone."""
    items = [item for listed in streams.values() for item in listed]
    rows, nothing = np.arange(len(items)), Digests.none(0)
    hashes = np.fromiter((hash(item.source) for item in items), np.int64, len(items))
    hashes.sort()
    if (hashes[1:] == hashes[:-1]).any():
        numbers: dict[str, int] = {}
        rows = np.array([numbers.setdefault(item.source, len(numbers)) for item in items])
    return Known(items, rows, np.zeros(0, np.int64), nothing, nothing, np.arange(len(items))).parts(streams)


class Subset:
    """Some of the examples that were read, by their places there, (n,) int64."""

    def __init__(self, known: Known, places: np.ndarray):
        self._known, self.places = known, places

    def __len__(self) -> int:
        return len(self.places)

    def item(self, number: int) -> Item:
        """One of them, as it was listed."""
        return self._known.items[self.places[number]]

    @property
    def items(self) -> Iterator[Item]:
        """As they were listed."""
        return (self._known.items[place] for place in self.places)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Where each comes from."""
        return tuple(item.source for item in self.items)

    @property
    def labels(self) -> list[str | None]:
        """As they were listed."""
        return [item.label for item in self.items]

    @cached_property
    def rows(self) -> np.ndarray:
        """The rows in the store, (n,) int64."""
        return self._known.rows[self.places]

    @property
    def sizes(self) -> np.ndarray:
        """How many bytes the sources have, (n,) int64."""
        return self._known.sizes[self.places]

    @property
    def same(self) -> np.ndarray:
        """A number of each that copies share, however they are stored, (n,) int64."""
        return self._known.same[self.rows]

    @property
    def files(self) -> Digests:
        """Of the sources' bytes."""
        return self._known.files.take(self.places)

    @cached_property
    def contents(self) -> Digests:
        """Of the arrays."""
        return self._known.contents.take(self.rows)

    def where(self, flags: Iterable[bool]) -> Subset:
        """Those whose flag is true."""
        return Subset(self._known, self.places[np.fromiter(flags, bool, len(self))])

    def __add__(self, others: Subset) -> Subset:
        return Subset(self._known, np.concatenate([self.places, others.places]))


def copies(same: np.ndarray) -> list[list[int]]:
    """The places that share a number, where several do, in the order of the first of each."""
    groups: dict[int, list[int]] = {}
    for place in np.flatnonzero(np.bincount(same)[same] > 1).tolist():
        groups.setdefault(int(same[place]), []).append(place)
    return [*groups.values()]
