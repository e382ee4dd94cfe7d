"""Which kind of examples data hold, by their looks, before any is read; and whether a backbone takes that kind."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tlapp.engine.inputs import digits, signs
from tlapp.engine.inputs.formats import HEIC, SUFFIXES
from tlapp.engine.inputs.lines import JSON, opened
from tlapp.engine.inputs.pairs import COLUMN as PAIR
from tlapp.engine.inputs.shards.files import shards
from tlapp.engine.inputs.texts import Texts
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

TABLES = (".csv", *JSON)
NOUNS = {"image": "pictures", "text": "texts"}
BUILTIN = {digits.BUILTIN: "image", signs.BUILTIN: "text"}
"""Built-in set -> the kind of its examples."""
WHY = "what a network learns carries over only to inputs of the same kind"
MOST_SEEN = 2000
"""Files of a folder that are looked at."""


def kind_of(path: str) -> str | None:
    """The kind of the examples in a folder or table, such as "image" or "text"; None where that is not known.

    A folder that holds a picture holds pictures: a text often lies beside one.
    """
    if path in BUILTIN:
        return BUILTIN[path]
    if shards(path):
        return "image"
    if os.path.isdir(path):
        suffixes = set(_suffixes(path))
        return "image" if suffixes & (SUFFIXES | HEIC) else "text" if suffixes & Texts.suffixes else None
    if path.lower().endswith(TABLES) and os.path.isfile(path):
        return _of_table(path)
    return None


def _suffixes(path: str) -> Iterator[str]:
    seen = 0
    for _, folders, files in os.walk(path):
        folders.sort()
        for name in files:
            yield os.path.splitext(name)[1].lower()
            seen += 1
            if seen > MOST_SEEN:
                return


def _of_table(path: str) -> str | None:
    try:
        with opened("data", path) as rows:
            columns = {name.strip().lower() for name in rows.header}
    except UserError:  # told when it is read
        return None
    if "path" in columns:
        return "image"
    return "text" if columns & {Texts.column, PAIR} else None


def check_fits(kind: str, options: RunOptions) -> None:
    """Check that a backbone that takes this kind of examples gets them.

    Raises:
        UserError: it takes pictures and the data are texts, or the reverse.
    """
    found = kind_of(options.data)
    if found is None or found == kind or kind not in NOUNS:
        return
    mend = "leave it out for one that does" if found == "text" else "leave it out, or set option data to texts"
    words = f"takes {NOUNS[kind]}, and option data={options.data} holds {NOUNS[found]}, of which it knows nothing: {WHY}; {mend}"
    raise UserError(words, options.backbone, option="backbone")
