"""tlapp runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click

from tlapp.cli.completion import PATH, complete_folders
from tlapp.cli.options import json_option
from tlapp.cli.usage import Command
from tlapp.engine.runs.catalog import ROOT, Entry, entries
from tlapp.errors import UserError
from tlapp.words import bytes_in_words, counted, printable

WORDS = {"training": "training now"}
"""What a state is called, where that is not its own word."""


@click.command(cls=Command)
@click.argument("folder", type=PATH, required=False, shell_complete=complete_folders)
@json_option
def runs(folder: str | None, as_json: bool) -> None:
    """List the runs in FOLDER, the newest first.  [default: saved_models]"""
    root = Path(folder or ROOT)
    if folder and not root.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    found = entries(root)
    if as_json:
        click.echo(json.dumps({"runs": [entry.to_json() for entry in found]}))
        return
    for line in lines(found):
        click.echo(printable(line))
    if not found:
        click.echo(f"no runs in {root}")


def lines(found: list[Entry]) -> Iterator[str]:
    """Two lines a run."""
    width = max((len(entry.folder.resolve().name) for entry in found), default=0)
    for entry in found:
        begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.begun))
        measured = {"test": entry.accuracy, "test R2": entry.r2}
        ends = f" ({entry.interval[0]:.2f} to {entry.interval[1]:.2f})" if entry.interval else ""
        result = "".join(f"{name} {value:.4f}{ends}  " for name, value in measured.items() if value is not None)
        yield f"{entry.folder.resolve().name:{width}}  {begun}  {result}{WORDS.get(entry.state, entry.state)}"
        pictures = "" if entry.pictures is None else f" ({counted(entry.pictures, entry.noun)})"
        what = f"{entry.strategy} of {entry.backbone} on {entry.data}{pictures}, " if entry.strategy else ""
        exports = f", exported: {', '.join(entry.exported)}" if entry.exported else ""
        yield f"  {what}{bytes_in_words(entry.bytes)}{exports}"
