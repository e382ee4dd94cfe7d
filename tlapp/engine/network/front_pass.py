"""One pass of examples through the front, block by block, into entries of the store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.cache import earlier, store
from tlapp.engine.cache.rowfile import Rows
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

    Attributes:
        seconds: spent on what was added.
    """

    def __init__(
        self, make: Callable[[], Front | LiteFront], source: Source, entries: Sequence[Entry], count: int, block: int,
        about: Mapping[str, Any], names: Callable[[], list[str]], opened: dict[str, Rows],
        report: Callable[[str, int, int], None],
    ):  # fmt: skip
        self._source, self._entries, self._block, self._about = source, entries, block, about
        self._names, self._opened, self._report, self.seconds = names, opened, report, 0.0
        missing = [earlier.missing(entry.parts, count) for entry in entries]
        self._left = np.isin(np.arange(count), np.concatenate(missing))
        self._front = make() if self._left.any() else None
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

    def finish(self) -> None:
        """Compute what was not added, and put the entries in their place."""
        todo, done = np.flatnonzero(self._left), 0

        def told(more: int) -> None:
            nonlocal done
            done += more
            self._report("front", done, len(todo))

        for start in range(0, len(todo), self._block):
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
        for writer, values in zip(self._writers, self._front(arrays, told), strict=True):
            earlier.put(writer, rows, values)
        self._left[rows] = False
