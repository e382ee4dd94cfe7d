"""Those who decode: processes of their own, or this one."""

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

CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tlapp.engine.inputs import decode; decode.serve()"
SECONDS = 60.0
"""A block of pictures that takes longer hangs: 16 pictures of the most pixels allowed take about half of it."""
KILLED = "its decoder was killed"
KILLERS = (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM), getattr(signal, "SIGKILL", signal.SIGTERM))
"""Signals that come from outside: a decoder that crashes gets others."""


class Block(NamedTuple):
    """Pictures decoded together: pixels (n, size, size, 3) uint8, their digests, and row -> what is wrong with it."""

    pixels: np.ndarray
    digests: list[str]
    bad: dict[int, str]


Decode = Callable[[Sequence[str], int], Block]


class ProcessDecoder:
    """Decodes in another process, as Pillow holds the interpreter lock; in this one if no process can be had.

    Where the process ends too early, its pictures are decoded one by one in new ones. A picture that twice crashes a process of
    its own, or keeps it busy for too long, is bad; where somebody else kills the process, this one decodes.
    """

    def __init__(self, locally: Decode) -> None:
        self._locally, self._late = locally, False
        self._child: subprocess.Popen[bytes] | None = None
        self._start()

    def decode(self, paths: Sequence[str], size: int) -> Block:
        if self._child is None:
            return self._locally(paths, size)
        try:
            return self._ask(paths, size)
        except (OSError, ValueError, EOFError):
            if not self._fault():
                return self._locally(paths, size)
        return _together([self._alone(path, size) for path in paths])

    def close(self) -> None:
        if self._child is not None:
            with contextlib.suppress(OSError), self._child:
                self._child.kill()
        self._child = None

    def _start(self) -> None:
        with contextlib.suppress(OSError):
            command = [sys.executable or "", "-c", CHILD, json.dumps(sys.path)]
            self._child = subprocess.Popen(  # noqa: S603 - this interpreter, on our own code
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )

    def _alone(self, path: str, size: int) -> Block:
        for _ in range(2):
            if self._child is None:
                self._start()
            try:
                return self._ask([path], size)
            except (OSError, ValueError, EOFError):
                fault = self._fault()
                if fault in ("", KILLED):
                    return self._locally([path], size)
        return Block(np.zeros((1, size, size, 3), np.uint8), [""], {0: fault})

    def _fault(self) -> str:
        """End the process, and say what a picture did to it; "" where it ended by itself."""
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

    def _ask(self, paths: Sequence[str], size: int) -> Block:
        if self._child is None:
            raise EOFError
        self._late = False
        late = threading.Timer(SECONDS, self._stop, [self._child])
        late.daemon = True
        late.start()
        try:
            assert self._child.stdin and self._child.stdout
            return _ask(self._child.stdin, self._child.stdout, paths, size)
        finally:
            late.cancel()

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        self._late = True
        child.kill()


class LocalDecoder:
    """Decodes in this process."""

    def __init__(self, locally: Decode):
        self.decode = locally

    def close(self) -> None:
        pass


def _ask(stdin: IO[bytes], stdout: IO[bytes], paths: Sequence[str], size: int) -> Block:
    stdin.write(json.dumps({"paths": list(paths), "size": size}).encode() + b"\n")
    stdin.flush()
    answer: tuple[list[str], list[tuple[int, str]]] = json.loads(stdout.readline())
    pixels = np.empty((len(paths), size, size, 3), np.uint8)
    if stdout.readinto(pixels.data.cast("B")) != pixels.nbytes:  # type: ignore[attr-defined]
        raise EOFError
    return Block(pixels, answer[0], dict(answer[1]))


def _together(blocks: Sequence[Block]) -> Block:
    """Blocks of one picture each as one."""
    bad = {row: block.bad[0] for row, block in enumerate(blocks) if block.bad}
    return Block(np.concatenate([block.pixels for block in blocks]), [block.digests[0] for block in blocks], bad)
