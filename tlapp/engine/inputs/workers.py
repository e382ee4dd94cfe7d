"""Who reads the examples: processes of their own, or this one."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

import numpy as np

from tlapp.contracts import Input

CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tlapp.engine.inputs import decode; decode.serve(sys.argv[2])"
)
SECONDS = 60.0
"""A block of examples that takes longer hangs: 16 pictures of the most pixels allowed take about half of it."""
KILLED = "its decoder was killed"
KILLERS = (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM), getattr(signal, "SIGKILL", signal.SIGTERM))
"""Signals that come from outside: a decoder that crashes gets others."""


Shape = tuple[int, int] | None
"""Width and height, where an example has them."""


class Block(NamedTuple):
    """Examples read together: an array (n, ...) a tensor, their digests, row -> what is wrong, and width and height if known."""

    arrays: tuple[np.ndarray, ...]
    digests: list[str]
    bad: dict[int, str]
    shapes: list[Shape]


Decode = Callable[[Sequence[str]], Block]


def blank(examples: Input, count: int) -> tuple[np.ndarray, ...]:
    """Arrays of zeros for so many examples, one a tensor."""
    return tuple(np.zeros((count, *tensor.shape), tensor.dtype) for tensor in examples.tensors)


class ProcessDecoder:
    """Reads in another process, as Pillow holds the interpreter lock; in this one if no process can be had.

    Where the process ends too early, its examples are read one by one in new ones. An example that twice crashes a process of
    its own, or keeps it busy for too long, is bad; where somebody else kills the process, this one reads.

    Args:
        examples: what reads one.
        packed: the same as text, for the process.
        locally: reads in this process.
    """

    def __init__(self, examples: Input, packed: str, locally: Decode) -> None:
        self._examples, self._packed, self._locally, self._late = examples, packed, locally, False
        self._child: subprocess.Popen[bytes] | None = None
        self._start()

    def decode(self, sources: Sequence[str]) -> Block:
        """Read these examples."""
        if self._child is None:
            return self._locally(sources)
        try:
            return self._ask(sources)
        except (OSError, ValueError, EOFError):
            if not self._fault():
                return self._locally(sources)
        return _together([self._alone(source) for source in sources])

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            with contextlib.suppress(OSError), self._child:
                self._child.kill()
        self._child = None

    def _start(self) -> None:
        with contextlib.suppress(OSError):
            command = [sys.executable or "", "-c", CHILD, json.dumps(sys.path), self._packed]
            self._child = subprocess.Popen(  # noqa: S603 - this interpreter, on our own code
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )

    def _alone(self, source: str) -> Block:
        for _ in range(2):
            if self._child is None:
                self._start()
            try:
                return self._ask([source])
            except (OSError, ValueError, EOFError):
                fault = self._fault()
                if fault in ("", KILLED):
                    return self._locally([source])
        return Block(blank(self._examples, 1), [""], {0: fault}, [None])

    def _fault(self) -> str:
        """End the process, and say what an example did to it; "" where it ended by itself."""
        if self._child is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(1)
        ended = self._child.returncode
        self.close()
        if self._late:
            return f"takes more than {SECONDS:g} seconds to decode"
        if ended is None or ended >= 0:
            return ""
        return KILLED if -ended in KILLERS else "decoding it crashes"

    def _ask(self, sources: Sequence[str]) -> Block:
        if self._child is None:
            raise EOFError
        self._late = False
        late = threading.Timer(SECONDS, self._stop, [self._child])
        late.daemon = True
        late.start()
        try:
            assert self._child.stdin and self._child.stdout
            return _ask(self._child.stdin, self._child.stdout, sources, blank(self._examples, len(sources)))
        finally:
            late.cancel()

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        self._late = True
        child.kill()


class LocalDecoder:
    """Reads in this process."""

    def __init__(self, locally: Decode):
        self.decode = locally

    def close(self) -> None:
        """Nothing to end."""


def _ask(stdin: IO[bytes], stdout: IO[bytes], sources: Sequence[str], arrays: tuple[np.ndarray, ...]) -> Block:
    stdin.write(json.dumps(list(sources)).encode() + b"\n")
    stdin.flush()
    digests, bad, shapes = json.loads(stdout.readline())
    for array in arrays:
        if stdout.readinto(array.data.cast("B")) != array.nbytes:  # type: ignore[attr-defined]
            raise EOFError
    return Block(arrays, digests, dict(bad), shapes)


def _together(blocks: Sequence[Block]) -> Block:
    """Blocks of one example each as one."""
    bad = {row: block.bad[0] for row, block in enumerate(blocks) if block.bad}
    arrays = tuple(np.concatenate(parts) for parts in zip(*(block.arrays for block in blocks), strict=True))
    return Block(arrays, [block.digests[0] for block in blocks], bad, [block.shapes[0] for block in blocks])
