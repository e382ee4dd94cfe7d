"""Where examples come from: folders and built-in sets, listed and checked but not yet opened.

CSVs are in `tables.py`, shards in `sharded.py`.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from typing import NamedTuple

from tlapp.contracts import Input
from tlapp.engine.data import tables
from tlapp.engine.data.files import Content, below, kinds_in_words, look, unread_note
from tlapp.engine.data.sharded import listed
from tlapp.engine.data.tables import OTHER_STREAMS, SPLIT_NAMES, Item
from tlapp.engine.inputs.lines import JSON
from tlapp.engine.inputs.recognition import BUILTIN
from tlapp.errors import UserError
from tlapp.words import a_few, natural_sort, suggestion


class Source(NamedTuple):
    """Examples listed from one option, and sentences to show the user."""

    items: list[Item]
    notes: tuple[str, ...] = ()


def labelled(option: str, path: str, examples: Input, labels: tables.Labels = "needed") -> Source:
    """List class folders, a folder of train/, val/ and test/ of them, a table, shards, or a built-in set.

    Raises:
        UserError: there is nothing there, or it is none of these.
    """
    if (rows := examples.builtin(path)) is not None:
        return Source([Item(*row) for row in rows])
    if (shards := listed(option, path, examples, labels)) is not None:
        return Source(*shards)
    if _is_csv(option, path, examples):
        return _table(option, path, labels, examples)
    root = look(path, examples)
    if _is_split(path, root, examples):
        return _split_folders(option, path, root, examples)
    source = _class_folders(option, path, root, examples)
    loose = f"option {option}={path}: not used, lying outside the class folders: {a_few(natural_sort(root.files))}"
    return source._replace(notes=(loose, *source.notes)) if root.files else source


def one_stream(option: str, path: str, split: str, examples: Input, labels: tables.Labels = "needed") -> Source:
    """List class folders, a CSV or shards for a single stream; where rows or shards are divided, those of that split.

    Raises:
        UserError: there is nothing there, or it is none of these.
    """
    if (rows := examples.builtin(path)) is not None:
        return Source([Item(*row) for row in rows])
    shards = listed(option, path, examples, labels)
    if shards is None and not _is_csv(option, path, examples):
        return _class_folders(option, path, look(path, examples), examples)
    items, notes = shards or _table(option, path, labels, examples)
    chosen = [item for item in items if item.split in (None, split)]
    if not chosen:
        raise UserError(f"none of its shards is of {split}" if shards else f"its column split has no row {split}", path, option)
    return Source(chosen, notes)


def any_examples(option: str, path: str, examples: Input) -> Source:
    """List class folders, a flat folder (labels None), or a CSV or shards whose labels may be missing.

    Raises:
        UserError: there is nothing there.
    """
    if (rows := examples.builtin(path)) is not None:
        return Source([Item(*row) for row in rows])
    if (shards := listed(option, path, examples, "optional")) is not None:
        return Source(*shards)
    if _is_csv(option, path, examples):
        table = tables.read(option, path, "optional", examples)
        items = [item for item in table.items if item.split == "target"] or table.items
        return Source(items, tuple(table.notes(option, path)))
    root = look(path, examples)
    if root.folders and not root.files:
        return _class_folders(option, path, root, examples)
    files = below(path, examples)
    if not files.names:
        raise UserError(f"no {examples.noun}s there{_instead(files.unread, examples)} ({_supported(examples)})", path, option)
    items = [Item(os.path.join(path, name), name) for name in natural_sort(files.names)]
    return Source(items, _notes(option, path, files.unread, examples))


def _table(option: str, path: str, labels: tables.Labels, examples: Input) -> Source:
    """The rows of a CSV that are of train, val or test, or of no split."""
    table = tables.read(option, path, labels, examples)
    items, notes = table.items, tuple(table.notes(option, path))
    used = [item for item in items if item.split not in OTHER_STREAMS]
    names = {item.split or "" for item in items} & OTHER_STREAMS
    note = f"option {option}={path}: not used, {len(items) - len(used)} rows of split {', '.join(sorted(names))}"
    return Source(used, (*notes, *((note,) if names else ())))


def _is_csv(option: str, path: str, examples: Input) -> bool:
    if os.path.isdir(path):
        if not examples.suffixes:
            raise UserError(f"expected a .csv or .jsonl file of {examples.noun}s. Received: a folder", path, option)
        return False
    if not os.path.exists(path):
        if path.startswith("builtin:"):
            raise UserError(f"there is no built-in set of that name; {suggestion(path, BUILTIN)}", path, option)
        raise UserError("there is no such file or folder", path, option)
    if path.lower().endswith((".csv", ".txt", *JSON)):
        return True
    hint = ": unpack it first" if path.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")) else ""
    raise UserError(f"expected a folder or a .csv file (or .jsonl){hint}", path, option)


def _is_split(path: str, root: Content, examples: Input) -> bool:
    known = {name for name in root.folders if name.lower() in SPLIT_NAMES}
    trains = [name for name in known if SPLIT_NAMES[name.lower()] == "train"]
    if known == set(root.folders):
        return bool(known)
    return len(known) > 1 and bool(trains) and bool(look(os.path.join(path, trains[0]), examples).folders)


def _split_folders(option: str, path: str, root: Content, examples: Input) -> Source:
    items: list[Item] = []
    spare, unread = [], Counter[str]()
    for name in natural_sort(root.folders):
        split = SPLIT_NAMES.get(name.lower())
        if split is None:
            spare.append(f"{name}/")
            continue
        inside = os.path.join(path, name)
        listed, more = _of_classes(option, inside, look(inside, examples), examples, may_be_empty=split != "train")
        items += [item._replace(split=split) for item in listed]
        unread += more
    if not any(item.split == "train" for item in items):
        raise UserError(f"holds {', '.join(natural_sort(root.folders))} but no train folder", path, option)
    note = f"option {option}={path}: not used, as they are not train, val or test: {a_few(spare)}"
    return Source(items, ((note,) if spare else ()) + _notes(option, path, unread, examples))


def _class_folders(option: str, path: str, root: Content, examples: Input) -> Source:
    items, unread = _of_classes(option, path, root, examples)
    return Source(items, _notes(option, path, unread, examples))


def _of_classes(
    option: str, path: str, root: Content, examples: Input, may_be_empty: bool = False
) -> tuple[list[Item], Counter[str]]:
    """The examples in class folders, and suffix -> how many files there are not read."""
    noun, items, unread = examples.noun, [], Counter[str]()
    if not root.folders:
        what = f"{noun}s but no class folders" if root.files else f"neither class folders nor {noun}s"
        raise UserError(f"holds {what}; put the {noun}s of each class into a folder of its name", path, option)
    for name in natural_sort(root.folders):
        inside = os.path.join(path, name)
        files = below(inside, examples)
        if not files.names and not may_be_empty:
            raise UserError(_empty(name, files.unread, examples), path, option)
        label = unicodedata.normalize("NFC", name)
        for file in natural_sort(files.names):  # a million names that their paths end with are not kept
            items.append(Item(os.path.join(inside, *file.split("/")), file if "/" in file else "", label))
        unread += files.unread
    return items, unread


def _notes(option: str, path: str, unread: Counter[str], examples: Input) -> tuple[str, ...]:
    return (f"option {option}={path}: {unread_note(unread, examples)}",) if unread else ()


def _empty(name: str, unread: Counter[str], examples: Input) -> str:
    instead = _instead(unread, examples)
    return f"class folder {name} holds no {examples.noun}s{instead or '; add some or remove it'} ({_supported(examples)})"


def _instead(unread: Counter[str], examples: Input) -> str:
    return f", but {kinds_in_words(unread, examples)}" if unread else ""


def _supported(examples: Input) -> str:
    return "supported: " + " ".join(sorted(examples.suffixes))
