"""What lies in a folder: folders, the files that an input reads, and a count of the files that it does not."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tlapp.contracts import Input
from tlapp.engine.inputs import advice, recognizes
from tlapp.errors import UserError

COMPANIONS = frozenset(
    {".txt", ".json", ".jsonl", ".xml", ".csv", ".tsv", ".yaml", ".yml", ".md", ".html", ".htm", ".log"}
    | {".xmp", ".aae", ".thm", ".ini", ".db", ".lnk", ".url"}
)
"""Suffixes of what commonly lies beside examples; such files are not counted as left out."""
_COMPANIONS_BY_NAME = frozenset({"readme", "license", "licence", "copying", "makefile"})
_SHOWN = 5


class Content(NamedTuple):
    """What lies directly in a folder: its folders, the files that an input reads, and suffix -> how many it does not read."""

    folders: list[str]
    files: list[str]
    unread: Counter[str]


class Files(NamedTuple):
    """The files under a folder that an input reads, relative to it with forward slashes, and suffix -> how many it does not."""

    names: list[str]
    unread: Counter[str]


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while content := file.read(1 << 20):
            digest.update(content)
    return digest.hexdigest()


def look(path: str, examples: Input) -> Content:
    """What lies directly in a folder; hidden files and folders are passed over.

    Raises:
        UserError: it cannot be listed.
    """
    content = Content([], [], Counter())
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                _sort_in(entry, content, examples)
    except OSError as error:
        raise UserError(f"{path}: cannot be listed: {error.strerror}", received=path) from error
    return content


def below(path: str, examples: Input) -> Files:
    """All files under a folder, in no order; each folder once, however many links lead to it.

    Raises:
        UserError: a folder cannot be listed.
    """
    files, seen, waiting = Files([], Counter()), set(), [""]
    while waiting:
        inside = waiting.pop()
        folder = os.path.join(path, inside) if inside else path
        try:
            status = os.stat(folder)
        except OSError as error:
            raise UserError(f"{folder}: cannot be listed: {error.strerror}", received=path) from error
        if (status.st_dev, status.st_ino) in seen:  # a link back up, or to a folder already read
            continue
        seen.add((status.st_dev, status.st_ino))
        content = look(folder, examples)
        files.names.extend(inside + name for name in content.files)
        files.unread.update(content.unread)
        waiting += [f"{inside}{name}/" for name in content.folders]
    return files


def has_folders(path: str) -> bool:
    """Whether a folder holds folders."""
    with os.scandir(path) as entries:
        return any(not _is_hidden(entry.name) and _is_folder(entry) for entry in entries)


def absolute(source: str, examples: Input) -> str:
    """The full path of a source that is a file, so that what names it can be used from any folder."""
    return os.path.abspath(source) if examples.content(source) is None else source


def unread_note(unread: Mapping[str, int], examples: Input) -> str:
    """How many files are not read, and of which kinds: "3 files are not read: 2 .heic (install tlapp[heif]), 1 .svg"."""
    count = sum(unread.values())
    return f"{count} {'file is' if count == 1 else 'files are'} not read: {kinds_in_words(unread, examples)}"


def kinds_in_words(unread: Mapping[str, int], examples: Input) -> str:
    """Files that are not read by kind, the most first, and what makes each kind readable."""
    kinds = sorted(unread.items(), key=lambda kind: (-kind[1], kind[0]))
    words = [_kind(suffix, count, examples) for suffix, count in kinds[:_SHOWN]]
    if more := kinds[_SHOWN:]:
        words.append(f"{sum(count for _, count in more)} of {len(more)} other kind{'s' * (len(more) > 1)}")
    return ", ".join(words)


def _kind(suffix: str, count: int, examples: Input) -> str:
    if not suffix:
        return f"{count} without an extension (not {examples.noun}s)"
    mend = advice(examples, suffix)
    return f"{count} {suffix}" + (f" ({mend})" if mend else "")


def _sort_in(entry: os.DirEntry[str], content: Content, examples: Input) -> None:
    if _is_hidden(entry.name):
        return
    stem, suffix = os.path.splitext(entry.name.lower())
    if _is_folder(entry):
        content.folders.append(entry.name)
    elif suffix in examples.suffixes if suffix else _is_file(entry) and recognizes(examples, entry.path):
        content.files.append(entry.name)
    elif _is_file(entry) and suffix not in COMPANIONS and stem not in _COMPANIONS_BY_NAME:
        content.unread[suffix] += 1


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: reported when it is read, if it has the suffix of an example
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False
