"""Rows of one shape and dtype on disk, by key: decoded pictures and cached activations."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import weakref
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine import blockfile
from tlapp.errors import UserError

DEFAULT_LIMIT = "20G"
_DAY = 86_400.0
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_opened: weakref.WeakSet[Rows] = weakref.WeakSet()


class Entry(NamedTuple):
    """One stored entry: its size in bytes, when it was last used (seconds since 1970), and what it holds, in a word."""

    key: str
    bytes: int
    used: float
    what: str


def key_of(*facts: object) -> str:
    """A key, 32 hexadecimal digits, of facts that JSON can hold."""
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def folder() -> Path:
    """Where entries lie: $TLAPP_CACHE, or tlapp in the platform's folder for caches."""
    if given := os.environ.get("TLAPP_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tlapp" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tlapp"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tlapp"


def limit() -> int:
    """Bytes that all entries together may take: $TLAPP_CACHE_LIMIT, such as 20G or 500M.

    Raises:
        UserError: it is not a size.
    """
    text = os.environ.get("TLAPP_CACHE_LIMIT") or DEFAULT_LIMIT
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if not match:
        raise UserError(f"TLAPP_CACHE_LIMIT: expected a size such as 20G or 500M. Received: {text}", received=text)
    return int(float(match[1]) * _UNITS[match[2].upper()])


class Rows:
    """Rows of an entry, read from its file when asked for; nothing is mapped or kept in memory. Safe to read from threads."""

    def __init__(self, path: Path, fd: int, header: dict[str, Any]):
        self.path, self.extra = path, header["extra"]
        self.shape: tuple[int, ...] = tuple(header["shape"])
        self.dtype = np.dtype(header["dtype"])
        self._rows = int(header["rows"])
        self._fd = fd
        self._width = blockfile.row_bytes(self.shape, self.dtype)
        weakref.finalize(self, os.close, fd)
        _opened.add(self)

    def __len__(self) -> int:
        return self._rows

    def slice(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to before `stop`: (stop - start, *shape)."""
        start, stop, _ = slice(start, stop).indices(self._rows)
        out = np.empty((max(0, stop - start), *self.shape), self.dtype)
        blockfile.read_into(self._fd, [_bytes(out)], start * self._width)
        return out

    def take(self, indices: Any) -> np.ndarray:
        """Rows of those numbers, in that order, repeats allowed: (n, *shape).

        Raises:
            IndexError: a number below 0, or not below len(self).
        """
        wanted = np.asarray(indices, np.int64).ravel()
        out = np.empty((len(wanted), *self.shape), self.dtype)
        if len(wanted) == 0:
            return out
        numbers, first, inverse = np.unique(wanted, return_index=True, return_inverse=True)
        if numbers[0] < 0 or numbers[-1] >= self._rows:
            raise IndexError(f"rows {numbers[0]} to {numbers[-1]} of an entry of {self._rows}")
        flat = out.reshape(len(out), -1).view(np.uint8) if self._width else None
        for run in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(numbers) != 1) + 1):
            if flat is not None:
                blockfile.read_into(self._fd, [memoryview(flat[first[i]]) for i in run], int(numbers[run[0]]) * self._width)
        if len(numbers) < len(wanted):
            copies = np.flatnonzero(first[inverse] != np.arange(len(wanted)))
            out[copies] = out[first[inverse[copies]]]
        return out


class Writer:
    """Writes an entry aside; nothing is seen under its key before `commit`. Made by `write`; use it as a context manager."""

    def __init__(self, key: str, rows: int, shape: tuple[int, ...], dtype: np.dtype):
        self.key, self.rows, self.shape, self.dtype = key, rows, shape, dtype
        self._width = blockfile.row_bytes(shape, dtype)
        self._blocks: list[tuple[int, int, int]] = []
        self._lock = threading.Lock()
        self._done = False
        self.bytes = rows * self._width
        try:
            self._fd, name = tempfile.mkstemp(".tmp", key + ".", folder())
        except OSError as error:
            raise _refused(error, self.bytes) from error
        self._path = Path(name)

    def put(self, start: int, array: np.ndarray) -> None:
        """Write rows `start` onwards, (n, *shape); each row exactly once, in any order, from any thread.

        Raises:
            UserError: the disk is full.
        """
        array = np.ascontiguousarray(array, self.dtype)
        if array.shape[1:] != self.shape or start < 0 or start + len(array) > self.rows:
            raise ValueError(f"rows {start} + {array.shape} do not fit an entry of {self.rows} rows of {self.shape}")
        try:
            blockfile.write_all(self._fd, _bytes(array), start * self._width)
        except OSError as error:
            raise _refused(error, self.bytes) from error
        with self._lock:
            self._blocks.append((start, start + len(array), zlib.crc32(_bytes(array))))

    def commit(self, extra: dict[str, Any] | None = None) -> Rows:
        """Put the entry in its place and open it. `extra` is any JSON object; its "what" is the word that `entries` tells.

        Raises:
            UserError: the disk is full.
        """
        blocks = sorted(block for block in self._blocks if block[0] < block[1])
        if [start for start, _, _ in blocks] + [self.rows] != [0] * (not blocks) + [0] * bool(blocks) + [b[1] for b in blocks]:
            raise ValueError(f"entry {self.key}: rows are missing or were put twice")
        header = {"rows": self.rows, "shape": self.shape, "dtype": self.dtype.str, "blocks": blocks, "extra": extra or {}}
        path = _path(self.key)
        try:
            blockfile.seal(self._fd, self.bytes, header)
            os.replace(self._path, path)
        except OSError as error:
            raise _refused(error, self.bytes) from error
        self._done = True
        return Rows(path, self._fd, json.loads(json.dumps(header)))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._done:
            os.close(self._fd)
            self._path.unlink(missing_ok=True)


def write(key: str, rows: int, shape: tuple[int, ...], dtype: Any) -> Writer:
    """Begin an entry of `rows` rows; the least recently used entries go where it needs their room.

    Raises:
        UserError: it is larger than $TLAPP_CACHE_LIMIT or than the free disk space, or the folder cannot be written.
    """
    kind = np.dtype(dtype)
    try:
        folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(error, rows * blockfile.row_bytes(tuple(shape), kind)) from error
    _sweep(_DAY)
    _make_room(rows * blockfile.row_bytes(tuple(shape), kind))
    return Writer(key, rows, tuple(shape), kind)


def find(key: str) -> Rows | None:
    """Open an entry after checking every byte of it; None where there is none. One that is cut short or altered is removed."""
    path = _path(key)
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    try:
        header = blockfile.check(fd)
    except BaseException:
        os.close(fd)
        raise
    if header is None:
        os.close(fd)
        path.unlink(missing_ok=True)
        return None
    _touch(path)
    return Rows(path, fd, header)


def entries() -> list[Entry]:
    """All entries, the least recently used first."""
    found = []
    for path in folder().glob("*.rows"):
        try:
            status = path.stat()
            with open(path, "rb") as file:
                header = blockfile.header_of(file.fileno())
        except OSError:  # another process removed it meanwhile
            continue
        what = str(header["extra"].get("what", "rows")) if header else "damaged"
        found.append(Entry(path.stem, status.st_size, status.st_mtime, what))
    return sorted(found, key=lambda entry: entry.used)
