"""Processes of this machine, found by a word of their command. Linux."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def running(word: bytes) -> Iterator[int]:
    """The numbers of those whose command has this word."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and word in (folder / "cmdline").read_bytes():
                yield int(folder.name)
        except OSError:
            continue
