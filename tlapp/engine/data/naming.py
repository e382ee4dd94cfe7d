"""The examples that a person names one by one: files, folders and globs; or the examples themselves."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from typing import NamedTuple

from tlapp.contracts import Input
from tlapp.engine.data.files import below, kinds_in_words, unread_note
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
        if examples.content(name) is not None or os.path.isfile(name):
            found.sources.append(name)
        elif os.path.isdir(name):
            _add_folder(name, examples, found)
        else:
            found.sources.extend(sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path)) or [name])
    return found


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
