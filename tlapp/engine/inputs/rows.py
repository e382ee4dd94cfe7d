"""The rows of a set of sources: entries of the store where they are read again, decoded when asked for where they are not."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Input
from tlapp.engine.cache import earlier, store
from tlapp.engine.cache.columns import Digests
from tlapp.engine.cache.rowfile import Rows, Writer, row_bytes
from tlapp.engine.inputs import is_large, threads
from tlapp.engine.inputs.decode import Decoder, Report, progress, readers
from tlapp.engine.inputs.examples import Table
from tlapp.engine.inputs.facts import Facts
from tlapp.engine.inputs.lazy_rows import BLOCK, LazyRows
from tlapp.engine.inputs.sinks import Elsewhere, Sink

_BLOCK_BYTES = 8 << 20


class Use(NamedTuple):
    """What rows are wanted for.

    Attributes:
        keep: whether they are read again and again, so that they are kept in the store, if there is room.
        passing: who wants to see rows that are not kept while they are decoded, if anybody.
        elsewhere: who has rows that are not kept decoded on other machines, if anybody.
    """

    keep: bool = True
    passing: Callable[[LazyRows], Sink | None] | None = None
    elsewhere: Callable[[LazyRows], Elsewhere | None] | None = None


def rows(
    sources: Sequence[str], hashes: Sequence[str], examples: Input, report: Report, data: str = "", use: Use | None = None
) -> tuple[Table, ...]:
    """The rows of each source, a table a tensor: from the store, put there, or decoded when asked for.

    `hashes` are the digests of the sources' bytes. The first table's extra holds "digests", those of the rows, "bad",
    row (as text) -> what is wrong with it, and "shapes", width and height where they are known; bad rows are zeros. An entry
    of an earlier version is read as it is, but for one with bad rows: more formats can be read since. `data` says where
    the sources come from, for the list of the cache.

    Raises:
        UserError: there is no room for them, or a file has gone since its digest was taken.
    """
    use = use or Use()
    key = store.key_of(examples.kind, dict(examples.key()), hashes)
    keys = [store.key_of(key, *tensor) for tensor in examples.tensors]
    tables = tuple(table for table in map(store.find, keys) if table is not None)
    if len(tables) == len(keys) and ("shapes" in tables[0].extra or not tables[0].extra["bad"]):
        return tables
    size = len(sources) * sum(row_bytes(tensor.shape, np.dtype(tensor.dtype)) for tensor in examples.tensors)
    if is_large(examples) and len(keys) == 1 and not (use.keep and store.has_room(size)):
        return (_explored(LazyRows(keys[0], sources, hashes, examples, {"what": "digests", "data": data}), report, use),)
    return _read_all(keys, sources, hashes, examples, report, data)


class Keeper:
    """Puts the rows of a table that decodes them into the store after all: those that it sees decoded, and the others at the end.

    Raises:
        UserError: there is no room for them; see `store.has_room`.
    """

    def __init__(self, table: LazyRows, report: Report):
        self._table, self._report, count = table, report, len(table)
        self._family = _family(table.examples)
        parts = earlier.parts(self._family, table.hashes)
        self._left = np.isin(np.arange(count), earlier.missing(parts, count))
        self._writer = store.write(table.key, count, table.shape, table.dtype)
        earlier.copy(parts, self._writer)

    def add(self, rows: np.ndarray, arrays: tuple[np.ndarray, ...]) -> None:
        """The next rows, by their numbers, ascending, and an array (n, ...) of them."""
        new = self._left[rows]
        earlier.put(self._writer, rows[new], arrays[0][new])
        self._left[rows] = False

    def finish(self) -> None:
        """Decode what was not seen, and put the entry in its place."""
        table, todo = self._table, np.flatnonzero(self._left)
        for start in range(0, len(todo), BLOCK):
            rows = todo[start : start + BLOCK]
            earlier.put(self._writer, rows, table.take(rows))
            self._report(f"keeping {table.examples.noun}s", start + len(rows), len(todo))
        about = {"what": f"{table.examples.noun}s", "data": table.extra["data"], **table.facts._asdict()}
        table.kept = self._writer.commit(about | earlier.facts(self._family, table.facts.names(table.hashes)))

    def close(self) -> None:
        """Remove what was not finished."""
        self._writer.__exit__(None, None, None)


def keep(table: LazyRows, report: Report) -> bool:
    """Put the rows of a table that decodes them into the store after all; whether there is room for them."""
    if not store.has_room(table.bytes):
        return False
    with contextlib.closing(Keeper(table, report)) as keeper:
        keeper.finish()
    return True


def _family(examples: Input, *about: str) -> str:
    """Of entries whose rows of sources of the same bytes are the same."""
    return store.key_of(examples.kind, dict(examples.key()), *examples.tensors[0], *about)


def _explored(table: LazyRows, report: Report, use: Use) -> LazyRows:
    """The table, once everything is known of its rows: from the store, or by decoding them, which puts it there."""
    key, family, count = store.key_of(table.key, "digests"), _family(table.examples, "digests"), len(table)
    if (known := store.find(key)) is not None:
        table.extra |= known.extra
        return table
    parts = earlier.parts(family, table.hashes)
    parts += earlier.parts(_family(table.examples), Digests.of(table.hashes).only(earlier.missing(parts, count)))
    table.facts.copy(parts)
    table.extra["seconds"] = max((part.table.extra.get("seconds", 0.0) for part in parts), default=0.0)
    table.explore(earlier.missing(parts, count), report, use.passing, use.elsewhere)
    with store.write(key, count, (), "uint8") as writer:  # its rows say nothing
        writer.put(0, np.zeros(count, np.uint8))
        writer.commit(table.extra | earlier.facts(family, table.facts.names(table.hashes)))
    return table


def _read_all(
    keys: Sequence[str], sources: Sequence[str], hashes: Sequence[str], examples: Input, report: Report, data: str
) -> tuple[Rows, ...]:
    family = _family(examples)
    # Of an input of several tensors, the other tables would have to be found too.
    known = earlier.parts(family, hashes) if len(keys) == 1 else []
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(store.write(key, len(sources), tensor.shape, tensor.dtype))
            for key, tensor in zip(keys, examples.tensors, strict=True)
        ]
        facts = Facts.unknown(len(sources))
        earlier.copy(known, writers[0])
        facts.copy(known)
        _fill(writers, sources, earlier.missing(known, len(sources)), examples, report, facts)
        about = {"what": f"{examples.noun}s", "data": data}
        extra: dict[str, Any] = {**about, **facts._asdict(), **earlier.facts(family, facts.names(hashes))}
        return tuple(writer.commit(extra if writer is writers[0] else about) for writer in writers)


def _fill(
    writers: Sequence[Writer], sources: Sequence[str], places: np.ndarray, examples: Input, report: Report, facts: Facts
) -> None:
    """Read the sources of these places, ascending, and write their rows and facts."""
    step = max(1, min(examples.block, _BLOCK_BYTES // max(1, sum(row_bytes(writer.shape, writer.dtype) for writer in writers))))
    wanted = [sources[place] for place in places]
    workers = readers(wanted, examples)
    idle: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def work(number: int) -> int:
        part = slice(number * step, (number + 1) * step)
        worker = idle.get()
        try:
            block = worker.decode(wanted[part])
        finally:
            idle.put(worker)
        for writer, array in zip(writers, block.arrays, strict=True):
            earlier.put(writer, places[part], array)
        facts.note(places[part], block)
        return len(block.digests)

    done = partial(progress, report, f"reading {examples.noun}s", len(wanted))
    try:
        threads.each(work, -(-len(wanted) // step), len(workers), done)
    finally:
        for worker in workers:
            worker.close()
