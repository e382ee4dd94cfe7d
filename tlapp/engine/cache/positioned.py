"""Reading and writing at an offset of an open file, from any thread."""

from __future__ import annotations

import os
import threading

_seek_lock = threading.Lock()


def read_into(fd: int, buffers: list[memoryview], offset: int) -> None:
    """Fill the buffers, in order, from `offset` on."""
    while buffers:
        count = _read_once(fd, buffers, offset)
        if count == 0 and any(len(buffer) for buffer in buffers):
            raise EOFError("a file of rows ended early: was it changed while in use?")
        offset += count
        while buffers and count >= len(buffers[0]):
            count -= len(buffers.pop(0))
        if count:
            buffers[0] = buffers[0][count:]


def _read_once(fd: int, buffers: list[memoryview], offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(fd, buffers, offset)
    with _seek_lock:  # Windows has no reading at an offset
        os.lseek(fd, offset, os.SEEK_SET)
        content = os.read(fd, len(buffers[0]))
    buffers[0][: len(content)] = content
    return len(content)


def write_all(fd: int, content: memoryview, offset: int) -> None:
    while content:
        if hasattr(os, "pwrite"):
            count = os.pwrite(fd, content, offset)
        else:
            with _seek_lock:
                os.lseek(fd, offset, os.SEEK_SET)
                count = os.write(fd, content)
        content, offset = content[count:], offset + count
