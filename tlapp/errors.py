"""What can go wrong, told apart by who can mend it. Anything else that is raised is a bug in tlapp."""

from __future__ import annotations

import shlex
import unicodedata
from pathlib import Path


class TlappError(Exception):
    """Base of the errors that end in a sentence instead of a traceback."""

    exit_code = 1


class UserError(TlappError):
    """The person at the keyboard can mend it: a flag, a file, a setting.

    Args:
        message: one sentence: where it came from, what is wrong, what would be right.
        received: the offending value; the engine names the option that holds it.
        option: the option that holds it, where that is known.
    """

    exit_code = 2

    def __init__(self, message: str, received: object = None, option: str | None = None):
        super().__init__(message)
        self.received, self.option = received, option


class PluginError(TlappError):
    """A plugin broke the contract; the message names its distribution and version."""

    exit_code = 3


def in_a_line(error: BaseException) -> str:
    """What any exception says, in one line: its type and the first line of its text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def resuming(folder: Path) -> str:
    """The command that goes on with a run, as one types it in a shell."""
    return f"tlapp train --resume {shlex.quote(str(folder))}"


def printable(text: str) -> str:
    """A text in one line for a terminal: names of files may hold line ends, control codes and bytes that are no characters."""
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)
