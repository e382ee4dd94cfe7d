"""tlapp predict."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from tlapp.api import load
from tlapp.cli.options import trust_option
from tlapp.cli.usage import Command
from tlapp.engine.inputs.images import SUFFIXES
from tlapp.errors import UserError
from tlapp.words import printable


@click.command(cls=Command)
@click.argument("run")
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--top", type=click.IntRange(min=1), metavar="K",
    help="How many labels a picture.  [default: 1; all above 0.5, where a picture can have several]",
)  # fmt: skip
@trust_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object to standard output, and nothing else there.")
def predict(run: str, files: tuple[str, ...], top: int | None, trust: bool, as_json: bool) -> None:
    """Name the pictures FILES (files, folders or quoted globs) with the model of the folder RUN."""
    saved = load(run, trust=trust)
    predictions = saved.predict(pictures(files), top)
    if as_json:
        click.echo(json.dumps({"predictions": [{"file": each.file, "labels": dict(each.labels)} for each in predictions]}))
        return
    for each in predictions:
        labels = ", ".join(f"{label} {probability:.4f}" for label, probability in each.labels)
        click.echo(f"{printable(each.file)}: {labels or 'no label above 0.5'}")


def pictures(names: Sequence[str]) -> list[str]:
    """The picture files that files, folders and globs name.

    Raises:
        UserError: a name stands for no picture.
    """
    paths: list[str] = []
    for name in names:
        if os.path.isdir(name):
            inside = sorted(str(file) for file in Path(name).rglob("*") if file.suffix.lower() in SUFFIXES)
        else:
            inside = [name] if os.path.isfile(name) else sorted(glob.glob(name, recursive=True))
        if not inside:
            raise UserError(f"{name}: no such file, folder or glob of pictures")
        paths += inside
    return paths
