"""Rows that are decoded from their sources when they are asked for: what is kept of them is what is known of them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tlapp.contracts import BadExample, Input
from tlapp.engine.cache import store
from tlapp.engine.cache.rowfile import Rows, row_bytes
from tlapp.engine.cache.spool import Spool
from tlapp.engine.inputs import is_own
from tlapp.engine.inputs.decode import Report, decode_apart
from tlapp.engine.inputs.decoders import Decoders
from tlapp.engine.inputs.facts import Facts
from tlapp.engine.inputs.shards import places
from tlapp.engine.inputs.sinks import Elsewhere, Sink
from tlapp.engine.inputs.threads import workers
from tlapp.engine.inputs.workers import Block
from tlapp.errors import UserError

BLOCK = 128
"""Rows between two calls of who computes in passing."""
SPOOL = 1 << 30
"""Bytes of rows that lie in a file while a run goes on: so much is decoded while the network is loaded."""
Contents = list[bytes]
"""What files hold, a file a row."""


class LazyRows:
    """A table whose rows are decoded each time; some lie in a file for as long as it lives.

    Args:
        key: of the entry of the store that would hold them.
        sources: of the rows.
        hashes: the digests of the sources' bytes.
        examples: reads them; they are of one tensor.
        about: what is told of the rows in the list of the cache.

    Attributes:
        extra: "digests", "bad" and "shapes" of the rows, as far as they are known, and "seconds" that decoding one took.
        kept: the rows in the store, where they are kept after all.
        is_new: whether nothing was known of any row before they were explored.
    """

    def __init__(self, key: str, sources: Sequence[str], hashes: Sequence[str], examples: Input, about: dict[str, Any]):
        (tensor,) = examples.tensors
        self.key, self.shape, self.dtype, self.hashes = key, tensor.shape, np.dtype(tensor.dtype), hashes
        self.extra = {**about, **Facts.unknown(len(sources))._asdict(), "seconds": 0.0}
        self.examples, self._sources, self._decoders = examples, sources, Decoders(examples)
        self._spool: Spool | None = None
        self.kept: Rows | None = None
        self.is_new = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def facts(self) -> Facts:
        """What is known of the rows."""
        return Facts(*(self.extra[name] for name in Facts._fields))

    @property
    def bytes(self) -> int:
        """What all rows take."""
        return len(self) * row_bytes(self.shape, self.dtype)

    def take(self, indices: Any) -> np.ndarray:
        """Rows of those numbers, in that order, repeats allowed: (n, *shape); bad ones are zeros.

        Raises:
            IndexError: a number is below 0, or not below len(self).
            UserError: a source has changed or gone since its digest was taken.
        """
        if self.kept is not None:
            return self.kept.take(indices)
        wanted = np.asarray(indices, np.int64).ravel()
        numbers, inverse = np.unique(wanted, return_inverse=True)
        if len(numbers) and (numbers[0] < 0 or numbers[-1] >= len(self)):
            raise IndexError(f"rows {numbers[0]} to {numbers[-1]} of {len(self)}")
        found = np.zeros((len(numbers), *self.shape), self.dtype)
        spooled = np.zeros(len(numbers), bool) if self._spool is None else self._spool.holds(numbers)
        if self._spool is not None and spooled.any():
            found[spooled] = self._spool.take(numbers[spooled])
        left = np.array([i for i in np.flatnonzero(~spooled) if str(numbers[i]) not in self.extra["bad"]], np.int64)
        done = 0
        with self._lock:
            for block in self._decoders.blocks([self._sources[number] for number in numbers[left]]):
                places = left[done : done + len(block.digests)]
                self.check(numbers[places], block)
                found[places] = block.arrays[0]
                done += len(places)
        return found if np.array_equal(numbers, wanted) else found[inverse.ravel()]

    def contents(self, numbers: np.ndarray) -> Contents | None:
        """What the files of rows hold; None where the rows are kept, one of them is bad, or they lie in no files.

        Raises:
            BadExample: a file has gone since its digest was taken.
        """
        if self.kept is not None or not self.in_files or any(str(number) in self.extra["bad"] for number in numbers):
            return None
        return [_content(self._sources[number]) for number in numbers]

    @cached_property
    def in_files(self) -> bool:
        """Whether each row has a file of its own, which the engine's own input reads."""
        return is_own(self.examples) and all(self.examples.content(source) is None for source in self._sources)

    def decoded(self, numbers: np.ndarray) -> Block:
        """Decode rows in a process of their own, where one that crashes it is only bad."""
        return decode_apart(self.examples, [self._sources[number] for number in numbers])

    def explore(
        self, places: np.ndarray, report: Report, passing: Callable[[LazyRows], Sink | None] | None = None,
        elsewhere: Callable[[LazyRows], Elsewhere | None] | None = None,
    ) -> None:  # fmt: skip
        """Decode rows of which nothing is known, ascending, and note what there is to know.

        `elsewhere` is asked first who has them decoded on other machines. Where nobody does, those that the file has room for
        come first; where there are more, `passing` is asked who else wants to see them. Both may wait until somebody is ready.
        """
        if not len(places):
            return
        room = min(SPOOL, store.limit() // 4) // row_bytes(self.shape, self.dtype)
        counts, self.is_new = _Counts(report, self.examples, len(places)), len(places) == len(self)
        if elsewhere and (there := elsewhere(self)):
            with contextlib.closing(there):
                for rows, block in there.read(places, lambda: counts.more(0)):
                    self.facts.note(rows, block)
                    counts.more(len(rows))
                there.finish()
            self.extra["seconds"] = there.decoding / len(places) / workers()
            return
        first = places if len(places) <= room else places[: room // BLOCK * BLOCK]
        try:
            self._fill(first, counts)
            if len(first) < len(places):
                self._pass(places, len(first), counts, passing(self) if passing else None)
        finally:
            self._decoders.close()
        self.extra["seconds"] = counts.seconds / len(places)

    def _fill(self, places: np.ndarray, counts: _Counts) -> None:
        """Decode the first rows into the file; where it cannot be written, they are decoded again when they are asked for."""
        with contextlib.suppress(OSError):
            self._spool = Spool(store.folder(), places, self.shape, self.dtype) if len(places) else None
        for _, array in self._known(places, counts):
            if self._spool is not None:
                try:
                    self._spool.put(array)
                except OSError:
                    self._spool = None

    def _pass(self, places: np.ndarray, filled: int, counts: _Counts, sink: Sink | None) -> None:
        with contextlib.closing(sink) if sink else contextlib.nullcontext():
            for start in range(0, filled if sink else 0, BLOCK):
                rows = places[start : min(start + BLOCK, filled)]
                assert sink is not None, "there is nobody else to see them"
                sink.add(rows, (self.take(rows),))
            for rows, array in self._known(places[filled:], counts):
                if sink:
                    sink.add(rows, (array,))
            if sink:
                sink.finish()

    def _known(self, places: np.ndarray, counts: _Counts) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows in whole blocks and a rest, once it is noted what is known of them."""
        done, given, waiting = 0, 0, np.empty((0, *self.shape), self.dtype)
        blocks = self._decoders.blocks([self._sources[place] for place in places])
        while (block := counts.timed(blocks)) is not None:
            self.facts.note(places[done : done + len(block.digests)], block)
            done += len(block.digests)
            waiting = np.concatenate([waiting, block.arrays[0]])
            counts.more(len(block.digests))
            while len(waiting) >= BLOCK or (len(waiting) and done == len(places)):
                yield places[given : given + BLOCK][: len(waiting)], waiting[:BLOCK]
                given, waiting = given + BLOCK, waiting[BLOCK:]

    def check(self, numbers: np.ndarray, block: Block) -> None:
        """Check that rows are those that were explored.

        Raises:
            UserError: a source has changed.
        """
        for number, digest in zip(numbers.tolist(), block.digests, strict=True):
            if digest != self.extra["digests"][number]:
                title = self.examples.title(self._sources[number])
                raise UserError(f"{title}: has changed since this run first read it; start again or resume the run")


def _content(source: str) -> bytes:
    try:
        return places.read(source)
    except OSError as error:
        raise BadExample(source, f"cannot be opened: {error.strerror}", passing=True) from error


class _Counts:
    """How many rows were explored, and the seconds that were spent waiting for them."""

    def __init__(self, report: Report, examples: Input, count: int):
        self._report, self._task, self._count, self._done = report, f"reading {examples.noun}s", count, 0
        self.seconds = 0.0

    def timed(self, blocks: Iterator[Block]) -> Block | None:
        """The next block, None at the end."""
        began = time.perf_counter()
        block = next(blocks, None)
        self.seconds += time.perf_counter() - began
        return block

    def more(self, count: int) -> None:
        """Report so many more."""
        self._done += count
        self._report(self._task, self._done, self._count)
