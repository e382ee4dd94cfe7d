"""The cache folder: rows on disk by key, such as decoded pictures and activations, within a limit of disk space."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.cache import rowfile
from tlapp.engine.cache.columns import as_json
from tlapp.engine.cache.rowfile import Rows, Writer
from tlapp.errors import UserError
from tlapp.home import expanded, home
from tlapp.words import bytes_in_words

DEFAULT_LIMIT = "20G"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
# A writer touches its file every few seconds: one that has been still for so many seconds has lost its process.
_DEAD_AFTER = 86_400.0
_DEAD_AFTER_WHEN_CLEARING = 600.0
_checked: dict[Path, tuple[int, ...]] = {}
"""Files whose bytes this process has checked, as they were then."""


class Entry(NamedTuple):
    """One entry: its size in bytes, when it was last used (seconds since 1970), and what it holds.

    `what` is a word; `data` the folders and tables that it was made of; `backbone` whose activations they are, "" for none;
    `rows` and `shape` are of the table. Entries of older versions do not tell `data` and `backbone`.
    """

    key: str
    bytes: int
    used: float
    what: str
    data: str = ""
    backbone: str = ""
    rows: int = 0
    shape: tuple[int, ...] = ()


def key_of(*facts: Any) -> str:
    """The cache key of facts that JSON can hold, and of columns: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for piece in as_json(facts):
        digest.update(piece.encode())
    return digest.hexdigest()


def folder() -> Path:
    """Where entries lie: $TLAPP_CACHE, or tlapp's in the platform's folder for caches."""
    if chosen := os.environ.get("TLAPP_CACHE"):
        return expanded(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home() / "AppData" / "Local") / "tlapp" / "Cache"
    if sys.platform == "darwin":
        return home() / "Library" / "Caches" / "tlapp"
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "tlapp"


def limit() -> int:
    """Bytes that all entries together may take: $TLAPP_CACHE_LIMIT.

    Raises:
        UserError: it is not a size such as 20G or 500M.
    """
    text = os.environ.get("TLAPP_CACHE_LIMIT") or DEFAULT_LIMIT
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if not match:
        raise UserError(f"TLAPP_CACHE_LIMIT: expected a size such as 20G or 500M. Received: {text}", received=text)
    return int(float(match[1]) * _UNITS[match[2].upper()])


def write(key: str, rows: int, shape: Sequence[int], dtype: Any) -> Writer:
    """Begin an entry of `rows` rows of `shape`; the least recently used entries go where it needs their room.

    Raises:
        UserError: it is larger than the limit or than the disk has room for, or the folder cannot be written.
    """
    needed = rows * rowfile.row_bytes(shape, np.dtype(dtype))
    try:
        folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise rowfile.no_room(error, folder(), needed) from error
    _sweep(_DEAD_AFTER)
    _make_room(needed)
    return Writer(_path(key), rows, shape, dtype)


def find(key: str) -> Rows | None:
    """Open an entry; None where there is none. Every byte is checked the first time, and a damaged entry is removed."""
    path = _path(key)
    try:
        rows = rowfile.open_rows(path, trusted=_checked.get(path) == _stamp(path))
        if rows is None:
            path.unlink()
            return None
    except OSError:
        return None
    with contextlib.suppress(OSError):  # a cache that is read-only still serves
        os.utime(path)
        _checked[path] = _stamp(path)
    return rows


def has_room(needed: int) -> bool:
    """Whether an entry of so many bytes fits the limit, and the disk once other entries have gone."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder()).free
    except OSError:  # `write` says what is wrong with the folder
        return needed <= limit()
    return needed <= limit() and needed <= free + sum(entry.bytes for entry in _idle(entries()))


def recall(key: str) -> bytes | None:
    """What `remember` kept; None where there is nothing."""
    table = find(key)
    return None if table is None else bytes(table.take([0]).tobytes())


def remember(key: str, content: bytes, what: str) -> None:
    """Keep some bytes; where there is no room, or the cache cannot be written, they are made anew the next time."""
    with contextlib.suppress(UserError), write(key, 1, (len(content),), "uint8") as writer:
        writer.put(0, np.frombuffer(content, np.uint8)[None])
        writer.commit({"what": what})


def entries() -> list[Entry]:
    """All entries, the least recently used first."""
    listed = []
    for path in folder().glob("*.rows"):
        with contextlib.suppress(OSError), open(path, "rb") as file:  # another process may remove it meanwhile
            header = rowfile.read_header(file.fileno())
            status = os.fstat(file.fileno())
            listed.append(Entry(path.stem, status.st_size, status.st_mtime, *_words(header)))
    return sorted(listed, key=lambda entry: entry.used)


def clear() -> int:
    """Remove every entry and what dead processes left; the bytes freed."""
    return _sweep(_DEAD_AFTER_WHEN_CLEARING) + remove(entries())


def remove(chosen: Iterable[Entry]) -> int:
    """Remove entries; the bytes freed. A process that has one open reads it to its end, or it stays where the system says so."""
    return sum(_remove(_path(entry.key)) for entry in chosen)


def _words(header: Mapping[str, Any] | None) -> tuple[str, str, str, int, tuple[int, ...]]:
    """What a header says of an entry: what, data, backbone, rows, shape."""
    if header is None:
        return "damaged", "", "", 0, ()
    extra = header["extra"]
    data, backbone = (str(extra.get(key, "")) for key in ("data", "backbone"))
    return str(extra.get("what", "rows")), data, backbone, int(header["rows"]), tuple(header["shape"])


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _path(key: str) -> Path:
    return folder() / f"{key}.rows"


def _remove(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except OSError:  # already gone, or held open where that forbids it
        return 0
    return size


def _sweep(age: float) -> int:
    freed = 0
    for path in folder().glob("*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > age:
                freed += _remove(path)
    return freed


def _make_room(needed: int) -> None:
    """Remove entries, the least recently used first, until `needed` bytes fit both the limit and the disk."""
    present = entries()
    idle = _idle(present)
    free, most = shutil.disk_usage(folder()).free, limit()
    _check_room(needed, free + sum(entry.bytes for entry in idle), most)
    total = sum(entry.bytes for entry in present)
    for entry in idle:
        if total + needed <= most and needed <= free:
            return
        freed = _remove(_path(entry.key))
        total, free = total - freed, free + freed


def _idle(present: Iterable[Entry]) -> list[Entry]:
    """The entries that this process does not have open."""
    return [entry for entry in present if not rowfile.in_use(_path(entry.key))]


def _check_room(needed: int, available: int, most: int) -> None:
    size = bytes_in_words(needed)
    if needed > most:
        raise UserError(
            f"TLAPP_CACHE_LIMIT: {size} are needed, and the limit is {bytes_in_words(most)}. "
            "Raise TLAPP_CACHE_LIMIT, or lower option image_size"
        )
    if needed > available:
        raise UserError(
            f"cache folder {folder()}: {size} are needed, and the disk has {bytes_in_words(available)} left. "
            "Set TLAPP_CACHE to a folder on another disk, or lower option image_size"
        )
