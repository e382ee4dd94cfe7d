"""The examples that a person names one by one: files, folders, globs and shards; or the examples themselves."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from typing import NamedTuple

from tlapp.contracts import Input
from tlapp.engine.data.files import below, kinds_in_words, unread_note
from tlapp.engine.data.sharded import listed
from tlapp.errors import UserError
from tlapp.words import natural_sort


class Named(NamedTuple):
    """Sources in the order in which they were named, source -> why it is no example, and notes on what was not read."""

    sources: list[str]
    bad: dict[str, str]
    notes: list[str]


def named(names: Iterable[str], examples: Input) -> Named:
    """The examples that names stand for; a name that stands for none remains, and is bad."""
    found = Named([], {}, [])
    for name in names:
        if _add_shards(name, examples, found):
            continue
        if os.path.isdir(name) and examples.suffixes:
            _add_folder(name, examples, found)
            continue
        matches = [] if os.path.isfile(name) else sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
        if not matches and (fault := _fault(name, examples)):
            found.bad[name] = fault
        found.sources.extend(matches if _names_files(name, examples) and matches else [name])
    return found


def _names_files(name: str, examples: Input) -> bool:
    """Whether a name is one of files, as far as it can be told where examples themselves can be named too."""
    is_file_name = os.path.splitext(name)[1].lower() in examples.suffixes and " " not in name
    return examples.content(name) is None or is_file_name


def _fault(name: str, examples: Input) -> str:
    """Why a name stands for no example, where examples themselves can be named; "" where it may stand for one."""
    if examples.column == "path" or not examples.suffixes or examples.content(name) is None:
        return ""
    if os.path.isfile(name):
        return f"a file that is not read: expected {' or '.join(sorted(examples.suffixes))}"
    return "no such file" if _names_files(name, examples) else ""


def _add_shards(name: str, examples: Input, found: Named) -> bool:
    """Add what lies in the shards that a name stands for, and say what of it is not read; whether it stands for shards."""
    try:
        if (shards := listed(None, name, examples, "optional")) is None:
            return False
    except UserError as error:
        found.bad[name] = str(error)
        found.sources.append(name)
        return True
    items, notes = shards
    found.sources.extend(item.source for item in items)
    found.notes.extend(notes)
    return True


def _add_folder(name: str, examples: Input, found: Named) -> None:
    """Add what lies in a folder, and say what of it is not read."""
    try:
        files = below(name, examples)
    except UserError as error:
        found.bad[name] = str(error).removeprefix(f"{name}: ")
        found.sources.append(name)
        return
    if files.names:
        found.sources.extend(os.path.join(name, *file.split("/")) for file in natural_sort(files.names))
        found.notes.extend([f"{name}: {unread_note(files.unread, examples)}"] if files.unread else [])
        return
    instead = f", but {kinds_in_words(files.unread, examples)}" if files.unread else ""
    found.bad[name] = f"a folder that holds no {examples.noun}s{instead}"
    found.sources.append(name)
