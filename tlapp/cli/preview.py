"""tlapp preview."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tlapp.cli.completion import PATH, complete_files
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.train import TrainCommand
from tlapp.settings import resolve


@click.command(cls=TrainCommand)
@click.option(
    "--config",
    metavar="YAML",
    type=PATH,
    shell_complete=complete_files,
    help="File of settings, as of tlapp train; flags override it.",
)
@click.option(
    "--output",
    metavar="PNG",
    type=PATH,
    shell_complete=complete_files,
    default="preview.png",
    show_default=True,
    help="File to write.",
)
@click.option("--count", type=click.IntRange(1, 50), default=8, show_default=True, help="Pictures in a row.")
@trust_option
@json_option
def preview(config: str | None, output: str, count: int, trust: bool, as_json: bool, **flags: Any) -> None:
    """Save a sheet of your pictures as the augmentation of --plugin changes them, beside the target's. Nothing is trained.

    Takes the settings of tlapp train: try tlapp preview --plugin augment-adapt --data photos --target sketches
    """
    from tlapp.advice import preview as show

    settings = resolve(flags, config)
    with Screen() as screen:
        sheet = show(settings, screen, Path(output), count, trust)
    if as_json:
        click.echo(json.dumps(sheet))
        return
    for row in sheet["rows"]:
        click.echo(row["title"])
    click.echo(f"sheet: {sheet['preview']}")
