"""A file of rows of one shape and dtype: the rows, then a JSON header with a checksum of each block, then a seal."""

from __future__ import annotations

import itertools
import json
import os
import struct
import tempfile
import weakref
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tlapp.engine.cache.columns import Column, packed, unpacked
from tlapp.engine.cache.positioned import read_into, write_all
from tlapp.errors import UserError
from tlapp.words import bytes_in_words

_TAIL = struct.Struct("<QI8s")  # bytes of JSON, their CRC-32, the magic
_MAGIC, _EARLIER = b"tlapp-2\n", b"tlapp-1\n"  # whose headers have lists where there are columns now
_STEP = 4 << 20
_MOST_BUFFERS = 512  # the kernel's own limit is 1024
_PIECES = 4096  # of a header that are written at a time
_AGAIN = "start again or resume the run: the file is then checked and rewritten"
_opened: weakref.WeakValueDictionary[int, Rows] = weakref.WeakValueDictionary()


class Rows:
    """Rows read from a file when asked for: nothing is mapped or kept in memory. Safe to read from several threads.

    Attributes:
        shape: of one row.
        extra: what `Writer.commit` was given.
    """

    def __init__(self, path: Path, fd: int, header: dict[str, Any]):
        self.path, self.extra = path, header["extra"]
        self.shape, self.dtype = tuple(header["shape"]), np.dtype(header["dtype"])
        self._rows, self._fd = int(header["rows"]), fd
        self._width = row_bytes(self.shape, self.dtype)
        weakref.finalize(self, os.close, fd)
        _opened[id(self)] = self

    def __len__(self) -> int:
        return self._rows

    @property
    def key(self) -> str:
        """Of the entry in the store."""
        return self.path.stem

    def slice(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to before `stop`: (stop - start, *shape)."""
        start, stop, _ = slice(start, stop).indices(self._rows)
        return self.take(np.arange(start, stop))

    def take(self, indices: Any) -> np.ndarray:
        """Rows of those numbers, in that order, repeats allowed: (n, *shape).

        Raises:
            IndexError: a number is below 0, or not below len(self).
        """
        wanted = np.asarray(indices, np.int64).ravel()
        out = np.empty((len(wanted), *self.shape), self.dtype)
        if out.size == 0:
            return out
        numbers, first, inverse = np.unique(wanted, return_index=True, return_inverse=True)
        if numbers[0] < 0 or numbers[-1] >= self._rows:
            raise IndexError(f"rows {numbers[0]} to {numbers[-1]} of {self._rows}")
        self._read(numbers, out.reshape(len(out), -1).view(np.uint8), first)
        source = first[inverse.ravel()]
        if len(numbers) < len(wanted):
            again = np.flatnonzero(source != np.arange(len(wanted)))
            out[again] = out[source[again]]
        return out

    def _read(self, numbers: np.ndarray, out: np.ndarray, places: np.ndarray) -> None:
        """Read row numbers[i], ascending, into out[places[i]]; neighbours in one call."""
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        bounds = [0, *breaks.tolist(), len(numbers)]
        for begin, end in itertools.pairwise(bounds):
            for at in range(begin, end, _MOST_BUFFERS):
                rows = places[at : min(end, at + _MOST_BUFFERS)]
                buffers = [memoryview(out[row]) for row in rows]
                try:
                    read_into(self._fd, buffers, int(numbers[at]) * self._width)
                except (EOFError, OSError) as error:
                    raise UserError(
                        f"cache file {self.path}: changed or was removed during reading ({error}); {_AGAIN}"
                    ) from error


class Writer:
    """Writes rows aside, under a temporary name beside `path`; `commit` puts them in their place. A context manager.

    Raises:
        UserError: from every method: the disk is full, or the folder cannot be written.
    """

    def __init__(self, path: Path, rows: int, shape: Sequence[int], dtype: Any):
        self.path, self.rows, self.shape, self.dtype = path, rows, tuple(shape), np.dtype(dtype)
        self._width = row_bytes(self.shape, self.dtype)
        self.bytes = rows * self._width
        self._blocks: list[tuple[int, int, int]] = []
        self._committed = False
        try:
            self._fd, name = tempfile.mkstemp(".tmp", path.stem + ".", path.parent)
        except OSError as error:
            raise no_room(error, path.parent, self.bytes) from error
        self._aside = Path(name)

    def put(self, start: int, array: np.ndarray) -> None:
        """Write rows `start` onwards, (n, *shape): each row once, in any order, from any thread."""
        array = np.ascontiguousarray(array, self.dtype)
        if array.shape[1:] != self.shape or start < 0 or start + len(array) > self.rows:
            raise ValueError(f"rows {start} and {array.shape} do not fit {self.rows} rows of {self.shape}")
        content = memoryview(array.reshape(-1).view(np.uint8).data)
        try:
            write_all(self._fd, content, start * self._width)
        except OSError as error:
            raise no_room(error, self.path.parent, self.bytes) from error
        self._blocks.append((start, start + len(array), zlib.crc32(content)))

    def commit(self, extra: dict[str, Any] | None = None) -> Rows:
        """Put the file in its place, atomically, and open it. `extra`: any JSON object; its columns may be `Column`s."""
        blocks, covered = sorted(self._blocks), 0
        for start, stop, _ in blocks:
            if start != covered:
                raise ValueError(f"rows {min(start, covered)} to {max(start, covered)} are missing or were put twice")
            covered = stop
        if covered != self.rows:
            raise ValueError(f"rows {covered} to {self.rows} are missing")
        header = {"rows": self.rows, "shape": self.shape, "dtype": self.dtype.str, "blocks": blocks, "extra": extra or {}}
        try:
            self._seal(header)
            os.replace(self._aside, self.path)
        except OSError as error:
            raise no_room(error, self.path.parent, self.bytes) from error
        self._committed = True
        return Rows(self.path, self._fd, {**header, "extra": {name: _as_read(each) for name, each in header["extra"].items()}})

    def _seal(self, header: dict[str, Any]) -> None:
        """Write the header, in pieces, and what seals it."""
        at, checksum, pieces = self.bytes, 0, json.JSONEncoder(default=packed).iterencode(header)
        while text := "".join(itertools.islice(pieces, _PIECES)).encode():
            write_all(self._fd, memoryview(text), at)
            at, checksum = at + len(text), zlib.crc32(text, checksum)
        write_all(self._fd, memoryview(_TAIL.pack(at - self.bytes, checksum, _MAGIC)), at)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._committed:
            os.close(self._fd)
            self._aside.unlink(missing_ok=True)


def open_rows(path: Path, trusted: bool = False) -> Rows | None:
    """Open a file of rows after checking every byte of it (its header alone, if trusted); None if it is cut short or altered.

    Raises:
        OSError: it cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        header = read_header(fd)
        if header is not None and (trusted or _intact(fd, header)):
            return Rows(path, fd, header)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def read_header(fd: int) -> dict[str, Any] | None:
    """The header of an open file of rows; None if the file's end is not one or does not fit its size."""
    size = os.fstat(fd).st_size
    tail = _read(fd, max(0, size - _TAIL.size), _TAIL.size)
    if len(tail) < _TAIL.size:
        return None
    length, checksum, magic = _TAIL.unpack(tail)
    if magic not in (_MAGIC, _EARLIER) or length > size - _TAIL.size:
        return None
    if zlib.crc32(text := _read(fd, size - _TAIL.size - length, length)) != checksum:
        return None
    try:
        header = json.loads(text, object_hook=unpacked)
        width = row_bytes(header["shape"], np.dtype(header["dtype"]))
    except (AttributeError, KeyError, TypeError, ValueError):  # whole, but of a version that wrote others
        return None
    return header if header["rows"] * width + length + _TAIL.size == size else None


def in_use(path: Path) -> bool:
    """Whether this process has rows of that file open."""
    return any(rows is not None and rows.path == path for rows in (reference() for reference in _opened.valuerefs()))


def row_bytes(shape: Sequence[int], dtype: np.dtype) -> int:
    """Bytes of one row."""
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize


def no_room(error: OSError, folder: Path, needed: int) -> UserError:
    """The sentence for a cache folder that cannot take an entry of `needed` bytes."""
    reason = error.strerror or str(error)
    size = bytes_in_words(needed)
    return UserError(f"cache folder {folder}: {reason}; {size} are needed. Set TLAPP_CACHE to a folder with enough space")


def _intact(fd: int, header: dict[str, Any]) -> bool:
    blocks, width = header["blocks"], row_bytes(header["shape"], np.dtype(header["dtype"]))
    threads = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:  # zlib lets go of the interpreter lock
        return all(pool.map(lambda part: _blocks_intact(fd, part, width), [blocks[i::threads] for i in range(threads)]))


def _blocks_intact(fd: int, blocks: Sequence[tuple[int, int, int]], width: int) -> bool:
    buffer = memoryview(bytearray(_STEP))
    for start, stop, expected in blocks:
        checksum = 0
        for at in range(start * width, stop * width, _STEP):
            part = buffer[: min(_STEP, stop * width - at)]
            read_into(fd, [part], at)
            checksum = zlib.crc32(part, checksum)
        if checksum != expected:
            return False
    return True


def _as_read(value: Any) -> Any:
    """A value of `extra` as it is read again."""
    return value if isinstance(value, Column) else json.loads(json.dumps(value))


def _read(fd: int, offset: int, length: int) -> bytearray:
    content = bytearray(length)
    try:
        read_into(fd, [memoryview(content)], offset)
    except EOFError:
        return bytearray()
    return content
