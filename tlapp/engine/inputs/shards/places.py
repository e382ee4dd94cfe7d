"""Where each picture of a shard lies, remembered while this process lives; and what its file held, read from there."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from tlapp.contracts import BadExample
from tlapp.engine.inputs.formats import SUFFIXES
from tlapp.engine.inputs.shards import tar, tfrecord
from tlapp.engine.inputs.shards.files import is_tar, member_of
from tlapp.engine.inputs.shards.member import Damaged, Member

_lock = threading.RLock()


class _Places(NamedTuple):
    """Of n pictures: hashes of their names, ascending, where each begins, and its bytes, (n,) int64 each."""

    stamp: tuple[int, ...]
    names: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray

    def find(self, name: str) -> Member | None:
        at = int(np.searchsorted(self.names, hash(name)))
        if at == len(self.names) or self.names[at] != hash(name):
            return None
        return Member(name, int(self.offsets[at]), int(self.sizes[at]))


_known: dict[str, _Places | tuple[tuple[int, ...], Damaged]] = {}


def members(path: str, file: BinaryIO) -> Iterator[Member]:
    """The members or records of a shard, open as `file`; where its pictures lie is remembered once all were taken.

    Raises:
        Damaged: it is not as it must be, or holds two pictures of one name.
    """
    names, offsets, sizes = array("q"), array("q"), array("q")
    for member in _walk(path, file):
        if not is_tar(path) or suffix(member.name) in SUFFIXES:
            names.append(hash(member.name))
            offsets.append(member.offset)
            sizes.append(member.size)
        yield member
    keys = np.frombuffer(names, np.int64) if names else np.empty(0, np.int64)
    order = np.argsort(keys, kind="stable")
    places = [np.array(each, np.int64)[order] for each in (names, offsets, sizes)]
    twice = np.flatnonzero(np.diff(places[0]) == 0)
    if len(twice):
        name = next(each.name for each in _walk(path, file) if hash(each.name) == places[0][twice[0]])
        raise Damaged(f"holds two pictures of the name {name}")
    with _lock:
        _known[path] = _Places(_stamp(file), *places)


def suffix(name: str) -> str:
    """What follows the first dot of a member's name, with the dot, in lower case: its kind, in WebDataset's layout."""
    base = name.rpartition("/")[2]
    return base[base.index(".") :].lower() if "." in base else ""


def content(source: str) -> bytes | None:
    """What the file of a picture in a shard held; None where the source is a file of its own.

    Raises:
        BadExample: it cannot be read; not to be remembered, as the shard may have changed.
    """
    if (place := member_of(source)) is None:
        return None
    path, name = place
    try:
        with open(path, "rb", buffering=0) as file:
            member = _find(path, name, file)
            return member.read_from(file) if is_tar(path) else tfrecord.picture(member, file)
    except Damaged as error:
        raise BadExample(source, str(error), passing=True) from error
    except OSError as error:
        raise BadExample(source, f"cannot be opened: {error.strerror}", passing=True) from error


def read(source: str) -> bytes:
    """What the file of a picture held, in a shard or not.

    Raises:
        OSError: a file of its own cannot be read.
        BadExample: it cannot be read from its shard.
    """
    held = content(source)
    return Path(source).read_bytes() if held is None else held


def size(source: str) -> int | None:
    """The bytes that a picture takes in its shard; None where it is not there, or the source is a file of its own."""
    if (place := member_of(source)) is None:
        return None
    path, name = place
    try:
        with open(path, "rb", buffering=0) as file:
            return _find(path, name, file).size
    except (Damaged, OSError):
        return None


def _walk(path: str, file: BinaryIO) -> Iterator[Member]:
    return tar.members(file) if is_tar(path) else tfrecord.records(file)


def _find(path: str, name: str, file: BinaryIO) -> Member:
    """Where a picture lies; the shard is looked through the first time, and when it has changed.

    Raises:
        Damaged: it is not there, or the shard is not as it must be.
    """
    with _lock:
        known = _known.get(path)
        if known is None or known[0] != _stamp(file):
            known = _known[path] = _looked_through(path)
    if not isinstance(known, _Places):
        raise known[1]
    if (member := known.find(name)) is None:
        raise Damaged("there is no such picture in the shard")
    return member


def _looked_through(path: str) -> _Places | tuple[tuple[int, ...], Damaged]:
    with open(path, "rb", buffering=1 << 13) as file:
        try:
            for _ in members(path, file):
                pass
        except Damaged as error:
            return _stamp(file), error
    places = _known[path]
    assert isinstance(places, _Places), "members() put it there"
    return places


def _stamp(file: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns
