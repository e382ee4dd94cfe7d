"""Which notes on the data were shown before, so that not every dry run repeats them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from tlapp.engine.cache import store

FILE = "notes-shown.txt"
"""In the cache folder; a line for each set of notes. Without it notes are shown again."""


def shown_before(notes: Sequence[str]) -> bool:
    """Whether exactly these notes were shown by an earlier command; from now on they were."""
    path, key = store.folder() / FILE, store.key_of(list(notes))
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if key in path.read_text(encoding="utf-8").split():
            return True
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{key}\n")
    return False
