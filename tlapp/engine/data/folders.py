"""Where pictures come from: folders and the built-in set, listed and checked but not yet opened. CSVs: `tables.py`."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from tlapp.engine.data import tables
from tlapp.engine.data.tables import SPLIT_NAMES, Item
from tlapp.engine.inputs import images
from tlapp.engine.inputs.digits import BUILTIN, digits
from tlapp.errors import UserError
from tlapp.words import a_few, natural_sort

_OTHER_PICTURES = frozenset(
    {".heic", ".heif", ".avif", ".svg", ".raw", ".cr2", ".nef", ".dng", ".psd", ".jxl", ".jp2", ".pdf", ".npy"}
)


class Source(NamedTuple):
    """Pictures listed from one option, and sentences to show the user."""

    items: list[Item]
    notes: tuple[str, ...] = ()


class _Folder(NamedTuple):
    """What lies directly in a folder: its folders, pictures, and the suffixes of pictures of unsupported kinds."""

    folders: list[str]
    pictures: list[str]
    unsupported: list[str]


def labelled(option: str, where: str, labels: tables.Labels = "needed") -> Source:
    """List class folders, a folder of train/, val/ and test/ of them, a CSV, or the built-in digits.

    Raises:
        UserError: there is nothing there, or it is none of these.
    """
    if where == BUILTIN:
        return Source(_digit_items())
    if _is_csv(option, where):
        return Source(tables.read(option, where, labels))
    root = _look(where)
    if _is_split(where, root):
        return _split_folders(option, where, root)
    loose = f"option {option}={where}: not used, lying outside the class folders: {a_few(natural_sort(root.pictures))}"
    return Source(list(_class_folders(option, where, root)), (loose,) if root.pictures else ())


def one_stream(option: str, where: str, split: str, labels: tables.Labels = "needed") -> Source:
    """List class folders or a CSV for a single stream; of a CSV with a column split, its rows of that split.

    Raises:
        UserError: there is nothing there, or it is none of these.
    """
    if where == BUILTIN:
        return Source(_digit_items())
    if not _is_csv(option, where):
        return Source(list(_class_folders(option, where, _look(where))))
    items = tables.read(option, where, labels)
    chosen = [item for item in items if item.split in (None, split)]
    if not chosen:
        raise UserError(f"its column split has no row {split}", where, option)
    return Source(chosen)


def any_pictures(option: str, where: str) -> Source:
    """List class folders, a flat folder (labels None) or a CSV whose column label may be missing.

    Raises:
        UserError: there is nothing there.
    """
    if where == BUILTIN:
        return Source(_digit_items())
    if _is_csv(option, where):
        return Source(tables.read(option, where, labels="optional"))
    root = _look(where)
    if root.folders and not root.pictures:
        return Source(list(_class_folders(option, where, root)))
    names = natural_sort(_pictures_below(where)[0])
    if not names:
        raise UserError(f"no pictures there ({_supported()})", where, option)
    return Source([Item(os.path.join(where, name), name) for name in names])


def has_folders(where: str) -> bool:
    """Whether a folder holds folders."""
    return bool(_look(where).folders)


def _digit_items() -> list[Item]:
    return [Item(f"{BUILTIN}/{i:04d}", f"{i:04d}", str(label)) for i, label in enumerate(digits()[1].tolist())]


def _is_csv(option: str, where: str) -> bool:
    if os.path.isdir(where):
        return False
    if not os.path.exists(where):
        raise UserError("there is no such file or folder", where, option)
    if where.lower().endswith((".csv", ".txt")):
        return True
    hint = ": unpack it first" if where.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")) else ""
    raise UserError(f"expected a folder or a .csv file{hint}", where, option)


def _look(where: str) -> _Folder:
    found = _Folder([], [], [])
    try:
        with os.scandir(where) as entries:
            for entry in entries:
                _sort_in(entry, found)
    except OSError as error:
        raise UserError(f"{where}: cannot be listed: {error.strerror}", received=where) from error
    return found


def _sort_in(entry: os.DirEntry[str], found: _Folder) -> None:
    if entry.name.startswith(".") or entry.name == "__MACOSX":
        return
    suffix = os.path.splitext(entry.name)[1].lower()
    if _is_folder(entry):
        found.folders.append(entry.name)
    elif suffix in images.SUFFIXES:
        found.pictures.append(entry.name)
    elif suffix in _OTHER_PICTURES:
        found.unsupported.append(suffix)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: told when it is read, if it is called as a picture is
        return False


def _pictures_below(where: str) -> tuple[list[str], set[str]]:
    """Names of all pictures under a folder, relative to it, with forward slashes; and unsupported suffixes met."""
    names: list[str] = []
    unsupported: set[str] = set()
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        below = waiting.pop()
        folder = os.path.join(where, below) if below else where
        try:
            status = os.stat(folder)
        except OSError as error:
            raise UserError(f"{folder}: cannot be listed: {error.strerror}", received=where) from error
        if (status.st_dev, status.st_ino) in seen:  # a link back up, or to a folder already read
            continue
        seen.add((status.st_dev, status.st_ino))
        found = _look(folder)
        names += [below + name for name in found.pictures]
        unsupported.update(found.unsupported)
        waiting += [f"{below}{name}/" for name in found.folders]
    return names, unsupported


def _is_split(where: str, root: _Folder) -> bool:
    known = {name for name in root.folders if name.lower() in SPLIT_NAMES}
    trains = [name for name in known if SPLIT_NAMES[name.lower()] == "train"]
    if known == set(root.folders):
        return bool(known)
    return len(known) > 1 and bool(trains) and bool(_look(os.path.join(where, trains[0])).folders)


def _split_folders(option: str, where: str, root: _Folder) -> Source:
    items: list[Item] = []
    spare = []
    for name in natural_sort(root.folders):
        split = SPLIT_NAMES.get(name.lower())
        if split is None:
            spare.append(f"{name}/")
            continue
        inside = os.path.join(where, name)
        listed = _class_folders(option, inside, _look(inside), may_be_empty=split != "train")
        items += [item._replace(split=split) for item in listed]
    if not any(item.split == "train" for item in items):
        raise UserError(f"holds {', '.join(natural_sort(root.folders))} but no train folder", where, option)
    note = f"option {option}={where}: not used, being neither train, val nor test: {a_few(spare)}"
    return Source(items, (note,) if spare else ())


def _class_folders(option: str, where: str, root: _Folder, may_be_empty: bool = False) -> Iterator[Item]:
    if not root.folders:
        what = "pictures but no class folders" if root.pictures else "neither class folders nor pictures"
        raise UserError(f"holds {what}; put the pictures of each class into a folder of its name", where, option)
    for name in natural_sort(root.folders):
        inside = os.path.join(where, name)
        pictures, unsupported = _pictures_below(inside)
        if not pictures and not may_be_empty:
            raise UserError(_empty(name, unsupported), where, option)
        label = unicodedata.normalize("NFC", name)
        yield from (Item(os.path.join(inside, *picture.split("/")), picture, label) for picture in natural_sort(pictures))


def _empty(name: str, unsupported: set[str]) -> str:
    if unsupported:
        kinds = ", ".join(sorted(unsupported))
        return f"class folder {name} holds only {kinds} files; convert them ({_supported()})"
    return f"class folder {name} holds no pictures; add some or remove it ({_supported()})"


def _supported() -> str:
    return "supported: " + " ".join(sorted(images.SUFFIXES))
