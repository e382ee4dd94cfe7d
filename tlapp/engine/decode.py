"""Files to rows of pixels, on every core, once: the result is an entry of the store."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
import PIL

from tlapp.engine import images, sources, store
from tlapp.engine.rowfile import Rows, Writer
from tlapp.engine.threads import each, workers

Report = Callable[[str, int, int], None]
"""(what is being done, how many are done, of how many); called from several threads, one at a time."""

WHAT = "pictures"
_STEP = 16  # pictures at a time: few enough to stop soon when told to
_BLOCK_BYTES = 8 << 20
_WORTH_PROCESSES = 200  # pictures of 100 kB; starting a process takes about as long as decoding a hundred
_CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tlapp.engine import decode; decode.serve()"


class Block(NamedTuple):
    """Pictures decoded together: pixels (n, size, size, 3) uint8, their digests, and row -> what is wrong with it."""

    pixels: np.ndarray
    digests: list[str]
    bad: dict[int, str]


def digests(paths: Sequence[str], report: Report) -> tuple[list[str], dict[int, str]]:
    """A digest of each file's bytes, "" for those that cannot be opened; and row -> why not."""
    found, bad = [""] * len(paths), {}

    def work(number: int) -> int:
        part = range(number * _STEP, min((number + 1) * _STEP, len(paths)))
        for i in part:
            try:
                found[i] = _file_digest(paths[i])
            except OSError as error:
                bad[i] = f"cannot be opened: {error.strerror}"
        return len(part)

    each(work, -(-len(paths) // _STEP), workers(), lambda done: report("checking files", done, len(paths)))
    return found, bad


def pictures(paths: Sequence[str], files: Sequence[str], size: int, report: Report) -> Rows:
    """The pixels of each path, (size, size, 3) uint8, from the store, where decoding puts them unless they are there.

    `files` are the digests of the files' bytes. The entry's extra holds "pixels", the digests of the pixels, and "bad",
    row (as text) -> what is wrong with it; bad rows are black.

    Raises:
        UserError: there is no room for them, or a file has gone since its digest was taken.
    """
    key = store.key_of(WHAT, images.VERSION, PIL.__version__, size, files)
    return store.find(key) or _decode_all(key, paths, size, report)


def decode(paths: Sequence[str], size: int) -> Block:
    """Decode pictures in this process.

    Raises:
        BadPicture: a file cannot be opened, which may pass.
    """
    pixels, digests, bad = np.zeros((len(paths), size, size, 3), np.uint8), [], {}
    for i, path in enumerate(paths):
        try:
            pixels[i] = _picture(path, size)
        except images.BadPicture as error:
            if error.passing:  # not to be remembered as bad
                raise
            bad[i] = error.reason
        digests.append(hashlib.blake2b(pixels[i].data, digest_size=16).hexdigest())
    return Block(pixels, digests, bad)


def serve() -> None:
    """Decode what standard input asks for, in a process of its own: the other end of `_Process`."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    for line in sys.stdin.buffer:
        block = decode(**json.loads(line))
        sys.stdout.buffer.write(json.dumps([block.digests, list(block.bad.items())]).encode() + b"\n")
        sys.stdout.buffer.write(block.pixels.data)
        sys.stdout.buffer.flush()


class _Process:
    """Decodes in another process, as Pillow holds the interpreter lock; in this one if that fails."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", _CHILD, json.dumps(sys.path)]
        self._child: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def decode(self, paths: Sequence[str], size: int) -> Block:
        if self._child is not None:
            try:
                assert self._child.stdin and self._child.stdout
                return _ask(self._child.stdin, self._child.stdout, paths, size)
            except (OSError, ValueError, EOFError):  # it could not start, or a broken picture killed it
                self.close()
        return decode(paths, size)

    def close(self) -> None:
        if self._child is not None:
            with contextlib.suppress(OSError), self._child:
                self._child.kill()
        self._child = None


class _Here:
    """Decodes in this process."""

    decode = staticmethod(decode)

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


def _decode_all(key: str, paths: Sequence[str], size: int, report: Report) -> Rows:
    with store.write(key, len(paths), (size, size, 3), np.uint8) as writer:
        extra = _fill(writer, paths, size, report)
        return writer.commit({"what": WHAT, **extra})


def _fill(writer: Writer, paths: Sequence[str], size: int, report: Report) -> dict[str, Any]:
    step = max(1, min(_STEP, _BLOCK_BYTES // (size * size * 3)))
    digests, bad = [""] * len(paths), {}
    crew = _crew(paths)
    idle: queue.SimpleQueue[_Process | _Here] = queue.SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def work(number: int) -> int:
        start = number * step
        part = paths[start : start + step]
        worker = idle.get()
        try:
            block = worker.decode(part, size)
        finally:
            idle.put(worker)
        writer.put(start, block.pixels)
        digests[start : start + step] = block.digests
        bad.update({str(start + i): reason for i, reason in block.bad.items()})
        return len(part)

    try:
        each(work, -(-len(paths) // step), len(crew), lambda done: report("reading pictures", done, len(paths)))
    finally:
        for worker in crew:
            worker.close()
    return {"pixels": digests, "bad": bad}


def _crew(paths: Sequence[str]) -> list[_Process | _Here]:
    files = [path for path in paths if not path.startswith(sources.BUILTIN)]
    work = len(files) + sum(map(_bytes_of, files)) / 100_000
    return [_Process() if work >= 2 * _WORTH_PROCESSES else _Here() for _ in range(workers())]


def _bytes_of(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # told when it is read
        return 0


def _picture(path: str, size: int) -> np.ndarray:
    if path.startswith(sources.BUILTIN):
        return images.from_array(sources.digits()[0][int(path.rpartition("/")[2])], size)
    return images.read(path, size)


def _file_digest(path: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    if path.startswith(sources.BUILTIN):
        digest.update(sources.digits()[0][int(path.rpartition("/")[2])].tobytes())
        return digest.hexdigest()
    with open(path, "rb", buffering=0) as file:
        while content := file.read(1 << 20):
            digest.update(content)
    return digest.hexdigest()
