"""Decoders that stay open between two askings: one a core."""

from __future__ import annotations

import contextlib
import queue
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tlapp.contracts import Input
from tlapp.engine.inputs import decode
from tlapp.engine.inputs.workers import Block, LocalDecoder


class Decoders:
    """What decodes: this process for a few examples, processes of their own as soon as many were asked for.

    It serves one thread at a time.
    """

    def __init__(self, examples: Input):
        self._examples, self._asked, self._open = examples, 0, list[decode.Decoder]()
        self._idle: queue.SimpleQueue[decode.Decoder] = queue.SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None
        weakref.finalize(self, _close, self._open)

    def blocks(self, sources: Sequence[str]) -> Iterator[Block]:
        """Examples in order, decoded some blocks ahead of whoever takes them."""
        if not sources:
            return
        pool = self._ready(sources)
        step = max(1, min(self._examples.block, -(-len(sources) // len(self._open))))
        waiting: deque[Future[Block]] = deque()
        try:
            for start in range(0, len(sources), step):
                waiting.append(pool.submit(self._decode, sources[start : start + step]))
                if len(waiting) > 2 * len(self._open):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()
            for each in waiting:  # what has begun ends before a decoder is closed or asked again
                with contextlib.suppress(BaseException):
                    each.exception()

    def close(self) -> None:
        """End the processes; they are started again where they are needed."""
        if self._pool is not None:
            self._pool.shutdown()
        self._pool, self._idle = None, queue.SimpleQueue()
        _close(self._open)

    def _ready(self, sources: Sequence[str]) -> ThreadPoolExecutor:
        self._asked += len(sources)
        alone = self._pool is not None and isinstance(self._open[0], LocalDecoder)
        if self._pool is None or (alone and decode.is_worth_processes(self._asked)):
            self.close()
            self._open += decode.readers(sources, self._examples, self._asked - len(sources))
            for reader in self._open:
                self._idle.put(reader)
            self._pool = ThreadPoolExecutor(len(self._open), "tlapp-decode")
        return self._pool

    def _decode(self, sources: Sequence[str]) -> Block:
        reader = self._idle.get()
        try:
            return reader.decode(sources)
        finally:
            self._idle.put(reader)


def _close(readers: list[decode.Decoder]) -> None:
    for reader in readers:
        reader.close()
    readers.clear()
