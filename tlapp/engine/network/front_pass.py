"""One pass of examples through the front, block by block, into entries of the store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.cache import earlier, store
from tlapp.engine.cache.rowfile import Rows
from tlapp.engine.inputs.workers import Block
from tlapp.engine.network.cluster_front import ClusterFront
from tlapp.engine.network.engines import LiteFront
from tlapp.engine.network.front import Front
from tlapp.engine.network.sources import Source


class Entry(NamedTuple):
    """An entry to be: its key, the shape and dtype of a row, its family (None for none), and what earlier ones of that hold."""

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype
    family: str | None
    parts: list[earlier.Part]


class FrontPass:
    """Writes entries of activations: what earlier ones hold, what is added, and at the end all else, from its source.

    Args:
        make: the front that gives the entries' rows, an array an entry.
        source: of the examples.
        entries: one a boundary.
        count: of examples.
        block: how many of them are computed at a time.
        about: what the list of the cache says of the entries.
        names: gives the names of the rows, by which they are found again, once they are all known.
        opened: takes the finished entries, by key.
        report: called with (task, done, of) while what was not added is computed.
        spread: what has a cluster compute the front; None for this process alone.

    Attributes:
        seconds: spent on what was added or read.
    """

    def __init__(
        self, make: Callable[[], Front | LiteFront], source: Source, entries: Sequence[Entry], count: int, block: int,
        about: Mapping[str, Any], names: Callable[[], Sequence[str]], opened: dict[str, Rows],
        report: Callable[[str, int, int], None], spread: Callable[[Front | LiteFront, Source, int], ClusterFront] | None = None,
    ):  # fmt: skip
        self._source, self._entries, self._block, self._about = source, entries, block, about
        self._names, self._opened, self._report, self.seconds = names, opened, report, 0.0
        missing = [earlier.missing(entry.parts, count) for entry in entries]
        self._left = np.isin(np.arange(count), np.concatenate(missing))
        self._front = make() if self._left.any() else None
        self._cluster = spread(self._front, source, block) if spread and self._front else None
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self._writers = [stack.enter_context(store.write(each.key, count, each.shape, each.dtype)) for each in entries]
            for writer, entry in zip(self._writers, entries, strict=True):
                earlier.copy(earlier.without(entry.parts, np.flatnonzero(self._left)), writer)
            self._stack = stack.pop_all()

    def add(self, rows: np.ndarray, arrays: tuple[np.ndarray, ...]) -> None:
        """Compute those examples of these numbers, ascending, that no earlier entry holds; none may come twice."""
        began, new = time.perf_counter(), self._left[rows]
        if new.any():
            self._write(rows[new], tuple(array[new] for array in arrays), lambda more: None)
        self.seconds += time.perf_counter() - began

    @property
    def is_spread(self) -> bool:
        """Whether a cluster computes the front, so that examples are to be read there, not added."""
        return self._cluster is not None

    @property
    def decoding(self) -> float:
        """Seconds that the workers of the cluster have decoded, all cores together."""
        return 0.0 if self._cluster is None else self._cluster.decoding

    def read(self, rows: np.ndarray, wait: Callable[[], None]) -> Iterator[tuple[np.ndarray, Block]]:
        """Have the cluster decode and compute the examples of these numbers, ascending; see `Elsewhere`."""
        assert self._cluster is not None, "it is spread"
        began = time.perf_counter()
        for found, block, values in self._cluster.computed(rows, wait):
            assert block is not None, "they are decoded there"
            self._put(found, values)
            yield found, block
        self.seconds += time.perf_counter() - began

    def finish(self) -> None:
        """Compute what was not added or read, and put the entries in their place."""
        todo, done = np.flatnonzero(self._left), 0

        def told(more: int) -> None:
            nonlocal done
            done += more
            self._report("front", done, len(todo))

        if self._cluster is not None:
            for rows, _, values in self._cluster.checked(todo, lambda: told(0)):
                self._put(rows, values)
                told(len(rows))
        for start in range(0, len(todo) if self._cluster is None else 0, self._block):
            rows = todo[start : start + self._block]
            self._write(rows, self._source.take(rows, 0), told)
        for writer, entry in zip(self._writers, self._entries, strict=True):
            found = earlier.facts(entry.family, self._names()) if entry.family else {}
            self._opened[entry.key] = writer.commit({**self._about, **found})

    def close(self) -> None:
        """Remove what was not finished."""
        self._stack.close()

    def _write(self, rows: np.ndarray, arrays: tuple[np.ndarray, ...], told: Callable[[int], None]) -> None:
        assert self._front is not None, "there are rows to compute"
        self._put(rows, self._front(arrays, told))

    def _put(self, rows: np.ndarray, activations: Sequence[np.ndarray]) -> None:
        """Write what no earlier entry holds of the activations of these rows."""
        new = self._left[rows]
        for writer, values in zip(self._writers, activations, strict=True):
            earlier.put(writer, rows[new], values[new])
        self._left[rows] = False
