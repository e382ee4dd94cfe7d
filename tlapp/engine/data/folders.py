"""Where examples come from: folders and built-in sets, listed and checked but not yet opened. CSVs: `tables.py`."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator
from typing import NamedTuple

from tlapp.contracts import Input
from tlapp.engine.data import tables
from tlapp.engine.data.tables import SPLIT_NAMES, Item
from tlapp.errors import UserError
from tlapp.words import a_few, natural_sort

_UNSUPPORTED = frozenset(
    {".heic", ".heif", ".avif", ".svg", ".raw", ".cr2", ".nef", ".dng", ".psd", ".jxl", ".jp2", ".pdf", ".npy"}
)


class Source(NamedTuple):
    """Examples listed from one option, and sentences to show the user."""

    items: list[Item]
    notes: tuple[str, ...] = ()


class _Folder(NamedTuple):
    """What lies directly in a folder: its folders, the files that the input reads, and unsupported suffixes of its kind."""

    folders: list[str]
    files: list[str]
    unsupported: list[str]


def labelled(option: str, path: str, examples: Input, labels: tables.Labels = "needed") -> Source:
    """List class folders, a folder of train/, val/ and test/ of them, a CSV, or the built-in digits.

    Raises:
        UserError: there is nothing there, or it is none of these.
    """
    if (rows := examples.builtin(path)) is not None:
        return Source([Item(*row) for row in rows])
    if _is_csv(option, path, examples):
        return Source(tables.read(option, path, labels, examples))
    root = _look(path, examples)
    if _is_split(path, root, examples):
        return _split_folders(option, path, root, examples)
    loose = f"option {option}={path}: not used, lying outside the class folders: {a_few(natural_sort(root.files))}"
    return Source(list(_class_folders(option, path, root, examples)), (loose,) if root.files else ())


def one_stream(option: str, path: str, split: str, examples: Input, labels: tables.Labels = "needed") -> Source:
    """List class folders or a CSV for a single stream; of a CSV with a column split, its rows of that split.

    Raises:
        UserError: there is nothing there, or it is none of these.
    """
    if (rows := examples.builtin(path)) is not None:
        return Source([Item(*row) for row in rows])
    if not _is_csv(option, path, examples):
        return Source(list(_class_folders(option, path, _look(path, examples), examples)))
    items = tables.read(option, path, labels, examples)
    chosen = [item for item in items if item.split in (None, split)]
    if not chosen:
        raise UserError(f"its column split has no row {split}", path, option)
    return Source(chosen)


def any_examples(option: str, path: str, examples: Input) -> Source:
    """List class folders, a flat folder (labels None) or a CSV whose column label may be missing.

    Raises:
        UserError: there is nothing there.
    """
    if (rows := examples.builtin(path)) is not None:
        return Source([Item(*row) for row in rows])
    if _is_csv(option, path, examples):
        return Source(tables.read(option, path, "optional", examples))
    root = _look(path, examples)
    if root.folders and not root.files:
        return Source(list(_class_folders(option, path, root, examples)))
    names = natural_sort(_files_below(path, examples)[0])
    if not names:
        raise UserError(f"no {examples.noun}s there ({_supported(examples)})", path, option)
    return Source([Item(os.path.join(path, name), name) for name in names])


def has_folders(path: str) -> bool:
    """Whether a folder holds folders."""
    with os.scandir(path) as entries:
        return any(not _is_hidden(entry.name) and _is_folder(entry) for entry in entries)


def _is_csv(option: str, path: str, examples: Input) -> bool:
    if os.path.isdir(path):
        if not examples.suffixes:
            raise UserError(f"expected a .csv file of {examples.noun}s. Received: a folder", path, option)
        return False
    if not os.path.exists(path):
        raise UserError("there is no such file or folder", path, option)
    if path.lower().endswith((".csv", ".txt")):
        return True
    hint = ": unpack it first" if path.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")) else ""
    raise UserError(f"expected a folder or a .csv file{hint}", path, option)


def _look(path: str, examples: Input) -> _Folder:
    content = _Folder([], [], [])
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                _sort_in(entry, content, examples.suffixes)
    except OSError as error:
        raise UserError(f"{path}: cannot be listed: {error.strerror}", received=path) from error
    return content


def _sort_in(entry: os.DirEntry[str], content: _Folder, suffixes: Collection[str]) -> None:
    if _is_hidden(entry.name):
        return
    suffix = os.path.splitext(entry.name)[1].lower()
    if _is_folder(entry):
        content.folders.append(entry.name)
    elif suffix in suffixes:
        content.files.append(entry.name)
    elif suffix in _UNSUPPORTED:
        content.unsupported.append(suffix)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: reported when it is read, if it has the suffix of an example
        return False


def _files_below(path: str, examples: Input) -> tuple[list[str], set[str]]:
    """Names of all examples under a folder, relative to it, with forward slashes; and unsupported suffixes met."""
    names: list[str] = []
    unsupported: set[str] = set()
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        below = waiting.pop()
        folder = os.path.join(path, below) if below else path
        try:
            status = os.stat(folder)
        except OSError as error:
            raise UserError(f"{folder}: cannot be listed: {error.strerror}", received=path) from error
        if (status.st_dev, status.st_ino) in seen:  # a link back up, or to a folder already read
            continue
        seen.add((status.st_dev, status.st_ino))
        content = _look(folder, examples)
        names += [below + name for name in content.files]
        unsupported.update(content.unsupported)
        waiting += [f"{below}{name}/" for name in content.folders]
    return names, unsupported


def _is_split(path: str, root: _Folder, examples: Input) -> bool:
    known = {name for name in root.folders if name.lower() in SPLIT_NAMES}
    trains = [name for name in known if SPLIT_NAMES[name.lower()] == "train"]
    if known == set(root.folders):
        return bool(known)
    return len(known) > 1 and bool(trains) and bool(_look(os.path.join(path, trains[0]), examples).folders)


def _split_folders(option: str, path: str, root: _Folder, examples: Input) -> Source:
    items: list[Item] = []
    spare = []
    for name in natural_sort(root.folders):
        split = SPLIT_NAMES.get(name.lower())
        if split is None:
            spare.append(f"{name}/")
            continue
        inside = os.path.join(path, name)
        listed = _class_folders(option, inside, _look(inside, examples), examples, may_be_empty=split != "train")
        items += [item._replace(split=split) for item in listed]
    if not any(item.split == "train" for item in items):
        raise UserError(f"holds {', '.join(natural_sort(root.folders))} but no train folder", path, option)
    note = f"option {option}={path}: not used, being neither train, val nor test: {a_few(spare)}"
    return Source(items, (note,) if spare else ())


def _class_folders(option: str, path: str, root: _Folder, examples: Input, may_be_empty: bool = False) -> Iterator[Item]:
    noun = examples.noun
    if not root.folders:
        what = f"{noun}s but no class folders" if root.files else f"neither class folders nor {noun}s"
        raise UserError(f"holds {what}; put the {noun}s of each class into a folder of its name", path, option)
    for name in natural_sort(root.folders):
        inside = os.path.join(path, name)
        files, unsupported = _files_below(inside, examples)
        if not files and not may_be_empty:
            raise UserError(_empty(name, unsupported, examples), path, option)
        label = unicodedata.normalize("NFC", name)
        yield from (Item(os.path.join(inside, *file.split("/")), file, label) for file in natural_sort(files))


def _empty(name: str, unsupported: set[str], examples: Input) -> str:
    supported = _supported(examples)
    if unsupported:
        kinds = ", ".join(sorted(unsupported))
        return f"class folder {name} holds only {kinds} files; convert them ({supported})"
    return f"class folder {name} holds no {examples.noun}s; add some or remove it ({supported})"


def _supported(examples: Input) -> str:
    return "supported: " + " ".join(sorted(examples.suffixes))
