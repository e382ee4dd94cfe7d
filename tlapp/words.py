"""Values as text for people: one line, a few names, bytes, suggestions, and options as flags."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence

_A_FEW = 5
_NO_NAME = "and|as|does|for|has|in|is|it|must|needs|of|on|or|out|takes|than|that|the|to|value|was|which|with"
_OPTION = re.compile(rf"(?<!\bthe )(?<!\ban )(?<!\bits )(?<!\bno )\boption (?!(?:{_NO_NAME})\b)([a-z]\w*)(=?)")
"""How sentences of the engine and of plugins spell an option: `option on_bad=skip`, `option batch_size`."""


def flag(option: str) -> str:
    """The flag of an option: --batch-size."""
    return "--" + option.replace("_", "-")


def with_flags(sentence: str) -> str:
    """A sentence for the command line: `option on_bad=skip` becomes --on-bad skip, and `option batch_size` --batch-size."""
    return _OPTION.sub(lambda match: flag(match[1]) + (" " if match[2] else ""), sentence)


def without_folders(backbone: str) -> str:
    """The ID of a backbone for others to read: of one that is a file or folder of the user's, only its own name."""
    prefix, _, name = backbone.partition(":")
    return f"{prefix}:{os.path.basename(name)}" if os.path.isabs(name) else backbone


def in_a_line(error: BaseException) -> str:
    """What any exception says, in one line: its type and the first line of its text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def printable(text: str) -> str:
    """A text in one line for a terminal: names of files may hold line ends, control codes and bytes that are no characters."""
    if text.isprintable():  # most names, and each character asked for itself takes seconds of a million
        return text
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)


def shortened(value: object) -> str:
    """A value as an error shows it: on one line, cut short."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def counted(number: int, noun: str) -> str:
    """So many of what a noun calls: 1 text, 2 texts, 1,200 pictures."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def a_few(names: Sequence[str]) -> str:
    """Up to five names, and how many more."""
    more = len(names) - _A_FEW
    return ", ".join(names[:_A_FEW]) + (f" and {more} more" if more > 0 else "")


def bytes_in_words(count: float) -> str:
    """A number of bytes: 1.2 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("bytes", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that looks most like `name`, whatever the case of its letters; None if none looks like it."""
    by_case = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), list(by_case), n=1, cutoff=cutoff)
    return by_case[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint to follow a sentence: " (did you mean cats?)", or nothing."""
    close = nearest(name, known)
    return f" (did you mean {close}?)" if close else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """What the user may have meant: "did you mean cats?", or all that there are."""
    names = list(known)
    close = nearest(name, names, cutoff=0.5)
    return f"did you mean {close}?" if close else f"there are {', '.join(names)}"


def natural_sort(names: Iterable[str]) -> list[str]:
    """Sort with numbers by value: 2 before 10."""
    return sorted(names, key=_natural_key)


def _natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts) if part], name
