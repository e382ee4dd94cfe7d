"""Sources to rows of arrays, on every core, once: the result is entries of the store, one a tensor."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import queue
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import BadExample, Input, PluginError
from tlapp.engine.cache import earlier, store
from tlapp.engine.cache.rowfile import Rows, Writer, row_bytes
from tlapp.engine.inputs import is_own, is_slow, packed, read_sized, threads, unpacked
from tlapp.engine.inputs.workers import Block, LocalDecoder, ProcessDecoder, Shape, blank
from tlapp.errors import TlappError
from tlapp.words import in_a_line

Report = Callable[[str, int, int], None]
"""(what is being done, how many are done, of how many); called from several threads, one at a time."""
Decoder = ProcessDecoder | LocalDecoder

Result = tuple[Sequence[Any], Shape] | BadExample

_STEP = 16  # files at a time: few enough to stop soon when told to
_BLOCK_BYTES = 8 << 20
_WORTH_PROCESSES = 200  # pictures of 100 kB; starting a process takes about as long as decoding a hundred


def digests(sources: Sequence[str], examples: Input, report: Report) -> tuple[list[str], list[int], dict[int, str]]:
    """A digest of each source's bytes, "" for files that cannot be opened; how many bytes; and row -> why not."""
    hashes, sizes, bad = [""] * len(sources), [0] * len(sources), {}

    def work(number: int) -> int:
        part = range(number * _STEP, min((number + 1) * _STEP, len(sources)))
        for i in part:
            try:
                hashes[i], sizes[i] = _digest(sources[i], examples)
            except OSError as error:
                bad[i] = f"cannot be opened: {error.strerror}"
        return len(part)

    done = partial(_progress, report, "checking files", len(sources))
    threads.each(work, -(-len(sources) // _STEP), threads.workers(), done)
    return hashes, sizes, bad


def rows(sources: Sequence[str], hashes: Sequence[str], examples: Input, report: Report, data: str = "") -> tuple[Rows, ...]:
    """The rows of each source, a table a tensor, from the store, where reading puts them unless they are there.

    `hashes` are the digests of the sources' bytes. The first table's extra holds "digests", those of the rows, "bad",
    row (as text) -> what is wrong with it, and "shapes", width and height where they are known; bad rows are zeros. An entry
    of an earlier version is read as it is, but for one with bad rows: more formats can be read since. `data` says where
    the sources come from, for the list of the cache.

    Raises:
        UserError: there is no room for them, or a file has gone since its digest was taken.
    """
    key = store.key_of(examples.kind, dict(examples.key()), hashes)
    keys = [store.key_of(key, *tensor) for tensor in examples.tensors]
    tables = tuple(table for table in map(store.find, keys) if table is not None)
    known = len(tables) == len(keys) and ("shapes" in tables[0].extra or not tables[0].extra["bad"])
    return tables if known else _read_all(keys, sources, hashes, examples, report, data)


def decode(examples: Input, sources: Sequence[str]) -> Block:
    """Read examples in this process.

    Raises:
        BadExample: a file cannot be opened, which may pass.
        PluginError: a plugin's input breaks its contract.
    """
    arrays, hashes, bad = blank(examples, len(sources)), [], {}
    shapes: list[Shape] = [None] * len(sources)
    for i, result in enumerate(_results(examples, sources)):
        if isinstance(result, BadExample):
            if result.passing:  # not to be remembered as bad
                raise result
            bad[i] = result.reason
        else:
            values, shapes[i] = result
            for array, value in zip(arrays, values, strict=True):
                array[i] = value
        digest = hashlib.blake2b(digest_size=16)
        for array in arrays:
            digest.update(array[i].data)
        hashes.append(digest.hexdigest())
    return Block(arrays, hashes, bad, shapes)


def serve(text: str) -> None:
    """Read what standard input asks for, in a process of its own: the other end of `ProcessDecoder`."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    examples = unpacked(text)
    for line in sys.stdin.buffer:
        block = decode(examples, json.loads(line))
        sys.stdout.buffer.write(json.dumps([block.digests, list(block.bad.items()), block.shapes]).encode() + b"\n")
        for array in block.arrays:
            sys.stdout.buffer.write(array.data)
        sys.stdout.buffer.flush()


def _results(examples: Input, sources: Sequence[str]) -> Iterator[Result]:
    """The arrays of each example, and its width and height; or why it cannot be read."""
    if type(examples).read_all is not Input.read_all:
        read = partial(examples.read_all, sources)
        for each in _asked(examples, read, "read_all()", f"{len(sources)} sources"):
            yield each if isinstance(each, BadExample) else (_checked(examples, each, "read_all()"), None)
        return
    for source in sources:
        try:
            arrays, shape = _asked(examples, partial(read_sized, examples, source), "read()", source)
            yield _checked(examples, arrays, "read()"), shape
        except BadExample as error:
            yield error


def _asked(examples: Input, read: Callable[[], Any], method: str, what: str) -> Any:
    try:
        return read()
    except (TlappError, MemoryError):
        raise
    except Exception as error:  # a plugin's code may raise anything; its name is what helps
        if is_own(examples):
            raise
        raise PluginError(f"{method} failed on {what}: {in_a_line(error)}", type(examples).__name__) from error


def _checked(examples: Input, arrays: Sequence[Any], method: str) -> Sequence[Any]:
    """Arrays, checked against what the input says of them."""
    shapes = [(tuple(array.shape), str(array.dtype)) for array in arrays]
    wanted = [(tensor.shape, tensor.dtype) for tensor in examples.tensors]
    if shapes != wanted:
        raise PluginError(f"{method} must give arrays of {wanted}. Received: {shapes}", type(examples).__name__)
    return arrays


def _read_all(
    keys: Sequence[str], sources: Sequence[str], hashes: Sequence[str], examples: Input, report: Report, data: str
) -> tuple[Rows, ...]:
    family = store.key_of(examples.kind, dict(examples.key()), *examples.tensors[0])
    # Of an input of several tensors, the other tables would have to be found too.
    known = earlier.parts(family, hashes) if len(keys) == 1 else []
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(store.write(key, len(sources), tensor.shape, tensor.dtype))
            for key, tensor in zip(keys, examples.tensors, strict=True)
        ]
        facts = Facts([""] * len(sources), {}, [None] * len(sources))
        earlier.copy(known, writers[0])
        for table, numbers, places in known:
            for row, place in zip(numbers.tolist(), places.tolist(), strict=True):
                facts.digests[place], facts.shapes[place] = table.extra["digests"][row], table.extra["shapes"][row]
        _fill(writers, sources, earlier.missing(known, len(sources)), examples, report, facts)
        about = {"what": f"{examples.noun}s", "data": data}
        names = ["" if str(row) in facts.bad else name for row, name in enumerate(hashes)]  # a later version may read it
        extra = {**about, **facts._asdict(), **earlier.facts(family, names)}
        return tuple(writer.commit(extra if writer is writers[0] else about) for writer in writers)


class Facts(NamedTuple):
    """What is told of rows beside the rows: the digest of each, row (as text) -> why it is bad, and the shape of each."""

    digests: list[str]
    bad: dict[str, str]
    shapes: list[Shape]


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
        for i, place in enumerate(places[part].tolist()):
            facts.digests[place], facts.shapes[place] = block.digests[i], block.shapes[i]
            if i in block.bad:
                facts.bad[str(place)] = block.bad[i]
        return len(block.digests)

    done = partial(_progress, report, f"reading {examples.noun}s", len(wanted))
    try:
        threads.each(work, -(-len(wanted) // step), len(workers), done)
    finally:
        for worker in workers:
            worker.close()


def _progress(report: Report, task: str, total: int, done: int) -> None:
    report(task, done, total)


def readers(sources: Sequence[str], examples: Input) -> list[Decoder]:
    """What reads these examples, one a core: processes where there is work for them, and the input can be sent to one."""
    files = [source for source in sources if examples.content(source) is None] if is_slow(examples) else []
    many = len(files) + sum(map(_bytes_of, files)) / 100_000 >= 2 * _WORTH_PROCESSES
    here = partial(decode, examples)
    if not (files and many):
        return [LocalDecoder(here) for _ in range(threads.workers())]
    return [ProcessDecoder(examples, packed(examples), here) for _ in range(threads.workers())]


def _bytes_of(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # reported when it is read
        return 0


def _digest(source: str, examples: Input) -> tuple[str, int]:
    """A digest of a source's bytes, and how many there are."""
    digest, size = hashlib.blake2b(digest_size=16), 0
    content = examples.content(source)
    if content is not None:
        digest.update(content)
        return digest.hexdigest(), len(content)
    if not stat.S_ISREG(os.stat(source).st_mode):  # a pipe would never end
        raise OSError(errno.EINVAL, "not a file")
    with open(source, "rb", buffering=0) as file:
        while part := file.read(1 << 20):
            digest.update(part)
            size += len(part)
    return digest.hexdigest(), size
