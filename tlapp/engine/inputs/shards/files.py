"""Which files are shards, by their names; and which a folder or a pattern stands for."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
PACKED = {".gz": "gunzip", ".tgz": "gunzip", ".bz2": "bunzip2", ".xz": "unxz", ".zst": "unzstd"}
"""Suffix of a compressed file -> what decompresses it."""
_SHARD = re.compile(r"\.tar|\.tfrecords?|-\d{5}-of-\d{5}", re.IGNORECASE)
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST = 1_000_000


def is_tar(path: str) -> bool:
    """Whether a shard is a tar, by its name; else it is a TFRecord file."""
    return path.lower().endswith(".tar")


def is_shard(path: str) -> bool:
    """Whether a file's name is one of a shard: *.tar, *.tfrecord, or *-00000-of-00010."""
    return any(match.end() == len(path) for match in _SHARD.finditer(path))


def is_packed(path: str) -> bool:
    """Whether a file's name is one of a compressed shard."""
    stem, suffix = os.path.splitext(path.lower())
    return suffix == ".tgz" or (suffix in PACKED and is_shard(stem))


def member_of(source: str) -> tuple[str, str] | None:
    """The shard that a source lies in, and its name there; None of a file of its own."""
    for match in _SHARD.finditer(source):
        path, rest = source[: match.end()], source[match.end() :].replace(os.sep, "/")
        if len(rest) > 1 and rest[0] == "/" and os.path.isfile(path):
            return path, rest[1:]
    return None


def shards(path: str) -> list[str]:
    """The shards that a path stands for, in order; none where it stands for something else.

    A path is a shard, a folder of nothing but files, a folder with such folders train, val and test, or a pattern: *, ?, [] and
    ranges such as {000..099}. Compressed shards and missing ones of a range are among them.
    """
    if os.path.isfile(path):
        return [path] if is_shard(path) or is_packed(path) else []
    if os.path.isdir(path):
        return _of_folder(path)
    return [each for each in _expanded(path) if is_shard(each) or is_packed(each)]


def is_pattern(path: str) -> bool:
    """Whether a path is a pattern of shards, not a file or folder."""
    return not os.path.exists(path) and bool(shards(path))


def _of_folder(path: str) -> list[str]:
    folders, files = _look(path)
    if not folders:
        return files
    splits = [os.path.join(path, name) for name in folders if name.lower() in SPLITS]
    inside = [_look(folder) for folder in splits]
    return [] if any(more or not own for more, own in inside) else [file for _, own in inside for file in own]


def _look(path: str) -> tuple[list[str], list[str]]:
    """The names of the folders in a folder, and the paths of the shards; hidden ones are passed over."""
    try:
        with os.scandir(path) as entries:
            shown = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    except OSError:  # told when it is listed
        return [], []
    files = [name for name, is_folder in shown if not is_folder and (is_shard(name) or is_packed(name))]
    return [name for name, is_folder in shown if is_folder], [os.path.join(path, name) for name in files]


def _expanded(pattern: str) -> Iterator[str]:
    if match := _RANGE.search(pattern):
        low, high = int(match[1]), int(match[2])
        for number in range(low, min(high, low + _MOST) + 1):
            yield from _expanded(f"{pattern[: match.start()]}{number:0{len(match[1])}}{pattern[match.end() :]}")
    elif glob.has_magic(pattern):
        yield from sorted(file for file in glob.glob(pattern, recursive=True) if os.path.isfile(file))
    elif "{" not in pattern:
        yield pattern
