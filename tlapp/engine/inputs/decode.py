"""Files to rows of pixels, on every core, once: the result is an entry of the store."""

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
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import PIL

from tlapp.engine.cache import store
from tlapp.engine.cache.rowfile import Rows, Writer
from tlapp.engine.inputs import images, threads
from tlapp.engine.inputs.digits import BUILTIN, digits
from tlapp.engine.inputs.workers import Block, LocalDecoder, ProcessDecoder

Report = Callable[[str, int, int], None]
"""(what is being done, how many are done, of how many); called from several threads, one at a time."""

WHAT = "pictures"
_STEP = 16  # pictures at a time: few enough to stop soon when told to
_BLOCK_BYTES = 8 << 20
_WORTH_PROCESSES = 200  # pictures of 100 kB; starting a process takes about as long as decoding a hundred


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

    threads.each(work, -(-len(paths) // _STEP), threads.workers(), lambda done: report("checking files", done, len(paths)))
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
    """Decode what standard input asks for, in a process of its own: the other end of `ProcessDecoder`."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    for line in sys.stdin.buffer:
        block = decode(**json.loads(line))
        sys.stdout.buffer.write(json.dumps([block.digests, list(block.bad.items())]).encode() + b"\n")
        sys.stdout.buffer.write(block.pixels.data)
        sys.stdout.buffer.flush()


def _decode_all(key: str, paths: Sequence[str], size: int, report: Report) -> Rows:
    with store.write(key, len(paths), (size, size, 3), np.uint8) as writer:
        extra = _fill(writer, paths, size, report)
        return writer.commit({"what": WHAT, **extra})


def _fill(writer: Writer, paths: Sequence[str], size: int, report: Report) -> dict[str, Any]:
    step = max(1, min(_STEP, _BLOCK_BYTES // (size * size * 3)))
    digests, bad = [""] * len(paths), {}
    workers = _workers(paths)
    idle: queue.SimpleQueue[ProcessDecoder | LocalDecoder] = queue.SimpleQueue()
    for worker in workers:
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
        threads.each(work, -(-len(paths) // step), len(workers), lambda done: report("reading pictures", done, len(paths)))
    finally:
        for worker in workers:
            worker.close()
    return {"pixels": digests, "bad": bad}


def _workers(paths: Sequence[str]) -> list[ProcessDecoder | LocalDecoder]:
    files = [path for path in paths if not path.startswith(BUILTIN)]
    work = len(files) + sum(map(_bytes_of, files)) / 100_000
    return [ProcessDecoder(_here) if work >= 2 * _WORTH_PROCESSES else LocalDecoder(_here) for _ in range(threads.workers())]


def _here(paths: Sequence[str], size: int) -> Block:
    return decode(paths, size)


def _bytes_of(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # told when it is read
        return 0


def _picture(path: str, size: int) -> np.ndarray:
    if path.startswith(BUILTIN):
        return images.from_array(digits()[0][int(path.rpartition("/")[2])], size)
    return images.read(path, size)


def _file_digest(path: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    if path.startswith(BUILTIN):
        digest.update(digits()[0][int(path.rpartition("/")[2])].tobytes())
        return digest.hexdigest()
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would never end
        raise OSError(errno.EINVAL, "not a file")
    with open(path, "rb", buffering=0) as file:
        while content := file.read(1 << 20):
            digest.update(content)
    return digest.hexdigest()
