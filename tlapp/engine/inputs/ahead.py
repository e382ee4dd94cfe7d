"""Examples read on every core, some blocks ahead of whoever takes them; nothing is kept."""

from __future__ import annotations

import glob
import os
import queue
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from tlapp.contracts import BadExample, Input
from tlapp.engine.inputs import decode
from tlapp.engine.inputs.shards.files import member_of
from tlapp.engine.inputs.workers import blank

BLOCK = 32
"""Examples at a time, where they are not large."""
_BLOCK_BYTES = 16 << 20


class Part(NamedTuple):
    """Some examples: their sources in order, source -> why it cannot be read, and an array (n, ...) a tensor of the n others."""

    sources: Sequence[str]
    bad: Mapping[str, str]
    arrays: tuple[np.ndarray, ...]

    @property
    def good(self) -> list[str]:
        """The sources that the arrays are of."""
        return [source for source in self.sources if source not in self.bad]


def parts(examples: Input, sources: Sequence[str], bad: Mapping[str, str] | None = None) -> Iterator[Part]:
    """Read examples, a block at a time; `bad` are sources that are known not to be readable, with the reason."""
    known, step = bad or {}, _step(examples)
    readers = decode.readers([source for source in sources if source not in known], examples)
    idle: queue.SimpleQueue[decode.Decoder] = queue.SimpleQueue()
    for reader in readers:
        idle.put(reader)

    def read(block: Sequence[str]) -> Part:
        reader = idle.get()
        try:
            return _part(block, known, examples, reader.decode)
        finally:
            idle.put(reader)

    pool = ThreadPoolExecutor(len(readers), "tlapp-ahead")
    waiting: deque[Future[Part]] = deque()
    try:
        for start in range(0, len(sources), step):
            waiting.append(pool.submit(read, sources[start : start + step]))
            if len(waiting) > 2 * len(readers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        for reader in readers:
            reader.close()


def _step(examples: Input) -> int:
    size = sum(array.nbytes for array in blank(examples, 1))
    return max(1, min(max(BLOCK, examples.block), _BLOCK_BYTES // max(1, size)))


def _part(
    block: Sequence[str], known: Mapping[str, str], examples: Input, decode_all: Callable[[Sequence[str]], decode.Block]
) -> Part:
    reasons = {source: known.get(source) or fault(source, examples) for source in block}
    bad = {source: reason for source, reason in reasons.items() if reason}
    while True:
        good = [source for source in block if source not in bad]
        if not good:
            return Part(block, bad, blank(examples, 0))
        try:
            read = decode_all(good)
        except BadExample as error:  # the file was opened, or was there, a moment ago
            bad[error.source] = error.reason
            continue
        rows = [row for row in range(len(good)) if row not in read.bad]
        bad.update({good[row]: reason for row, reason in read.bad.items()})
        return Part(block, bad, read.arrays if len(rows) == len(good) else tuple(array[rows] for array in read.arrays))


def fault(source: str, examples: Input) -> str:
    """Why a source cannot be opened, told without opening it; "" where nothing is known against it."""
    if examples.content(source) is not None or os.path.isfile(source) or member_of(source):
        return ""
    if os.path.isdir(source):
        return f"a folder that holds no {examples.noun}s"
    if os.path.lexists(source):
        return "not a file"
    return "no such file matches" if glob.has_magic(source) else "no such file"
