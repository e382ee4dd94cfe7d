"""Names that come by standard input, one a line."""

from __future__ import annotations

import os
from typing import TextIO

import click

from tlapp.errors import UserError

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")


def names_from(stream: TextIO, what: str) -> list[str]:
    """The lines of standard input, empty ones left out; `what` they are, such as "names of pictures".

    Raises:
        UserError: they are no text, but what a file holds.
    """
    if stream.isatty():
        click.echo(f"reading {what} from standard input, one a line; Ctrl-D ends them", err=True)
    content = stream.buffer.read()
    if content.startswith(_PICTURES) or b"\0" in content:
        raise UserError(f"standard input holds binary data. Expected {what}, one a line, or no - among FILES")
    return [os.fsdecode(line) for line in content.splitlines() if line.strip()]
