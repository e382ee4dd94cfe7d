"""What the command line says of an error: options as flags, and the command that goes on with a run."""

from __future__ import annotations

import shlex
from pathlib import Path

from tlapp.errors import TlappError, UserError, each_of
from tlapp.words import flag, printable, with_flags


def resume_command(folder: Path) -> str:
    """The command that goes on with a run, as one types it in a shell."""
    return f"tlapp train --resume {shlex.quote(str(folder))}"


def error_line(error: TlappError) -> str:
    """An error in one line, in front the flag or the file and key that it is about, at the end the command that goes on."""
    if isinstance(error, UserError) and error.origin:  # the user wrote a file, and knows options by their names
        return printable(str(error) + go_on(error.resumable))
    if isinstance(error, UserError) and error.option is not None:
        error.origin = flag(error.option) + ("" if error.received is None else f" {error.received}")
    return printable(with_flags(str(error)) + go_on(error.resumable))


def error_lines(error: TlappError) -> list[str]:
    """As `error_line`, a line for each mistake."""
    return [error_line(each) for each in (each_of(error) if isinstance(error, UserError) else (error,))]


def interrupted_line(error: BaseException) -> str:
    """As `error_line`, of what stopped a command by Ctrl-C or SIGTERM."""
    cause = error.__cause__ or error  # click wraps what it catches
    folder = getattr(cause, "resumable", None)
    use = f" (to use it: tlapp predict {shlex.quote(str(folder))} FILES --unfinished)" if folder and str(cause) else ""
    reason = f"{cause}{use}{go_on(folder)}".removeprefix("; ")
    return printable(f"interrupted{f'; {reason}' if reason else ''}")


def go_on(folder: Path | None) -> str:
    """The end of a sentence: how to go on with a run."""
    return f"; to resume it: {resume_command(folder)}" if folder else ""
