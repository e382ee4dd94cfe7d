"""Sources to arrays and digests, in this process or in others."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from tlapp.contracts import BadExample, Input, PluginError
from tlapp.engine.cache.columns import Digests
from tlapp.engine.inputs import is_own, is_slow, packed, read_sized, threads, unpacked
from tlapp.engine.inputs.shards import places
from tlapp.engine.inputs.workers import Block, LocalDecoder, ProcessDecoder, Shape, blank
from tlapp.errors import TlappError
from tlapp.words import in_a_line

Report = Callable[[str, int, int], None]
"""(what is being done, how many are done, of how many); called from several threads, one at a time."""
Decoder = ProcessDecoder | LocalDecoder

Result = tuple[Sequence[Any], Shape] | BadExample

_STEP = 16  # files at a time: few enough to stop soon when told to
_WORTH_PROCESSES = 200  # pictures of 100 kB; starting a process takes about as long as decoding a hundred


def digests(sources: Sequence[str], examples: Input, report: Report) -> tuple[Digests, np.ndarray, dict[int, str]]:
    """A digest of each source's bytes, "" for files that cannot be opened; how many bytes, (n,) int64; and row -> why not."""
    hashes, sizes, bad = Digests.none(len(sources)), np.zeros(len(sources), np.int64), {}

    def work(number: int) -> int:
        part = range(number * _STEP, min((number + 1) * _STEP, len(sources)))
        for i in part:
            try:
                hashes[i], sizes[i] = _digest(sources[i], examples)
            except OSError as error:
                bad[i] = f"cannot be opened: {error.strerror}"
            except BadExample as error:  # a picture of a shard
                bad[i] = error.reason
        return len(part)

    done = partial(progress, report, "checking files", len(sources))
    threads.each(work, -(-len(sources) // _STEP), threads.workers(), done)
    return hashes, sizes, bad


def decode(examples: Input, sources: Sequence[str] | Sequence[bytes]) -> Block:
    """Read examples in this process; bytes are what the files of pictures hold.

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


def decode_apart(examples: Input, sources: Sequence[str]) -> Block:
    """Read examples of the engine's own inputs in a process that ends with them, where one that crashes it is only bad."""
    decoder = ProcessDecoder(examples, packed(examples), partial(decode, examples))
    try:
        return decoder.decode(sources)
    finally:
        decoder.close()


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


def _results(examples: Input, sources: Sequence[Any]) -> Iterator[Result]:
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


def progress(report: Report, task: str, total: int, done: int) -> None:
    """Report with the total before what is done, so that both can be bound."""
    report(task, done, total)


def readers(sources: Sequence[str], examples: Input, asked: int = 0) -> list[Decoder]:
    """What reads these examples, one a core: processes where there is work for them, and the input can be sent to one.

    Args:
        asked: how many others were read before, of which more may come.
    """
    files = [source for source in sources if examples.content(source) is None] if is_slow(examples) else []
    many = is_worth_processes(asked + len(files) + sum(map(_bytes_of, files)) / 100_000)
    here = partial(decode, examples)
    if not (files and many):
        return [LocalDecoder(here) for _ in range(threads.workers())]
    return [ProcessDecoder(examples, packed(examples), here) for _ in range(threads.workers())]


def is_worth_processes(count: float) -> bool:
    """Whether so many examples, larger ones counted as more, take longer to read than processes to start."""
    return count >= 2 * _WORTH_PROCESSES


def _bytes_of(path: str) -> int:
    try:
        return places.size(path) or os.path.getsize(path)
    except OSError:  # reported when it is read
        return 0


def _digest(source: str, examples: Input) -> tuple[str, int]:
    """A digest of a source's bytes, and how many there are."""
    digest, size = hashlib.blake2b(digest_size=16), 0
    content = examples.content(source)
    content = places.content(source) if content is None else content
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
