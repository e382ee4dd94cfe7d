"""tlapp find-lr."""

from __future__ import annotations

import json
from typing import Any

import click

from tlapp.cli import plots
from tlapp.cli.completion import PATH, complete_files
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.train import TrainCommand
from tlapp.settings import resolve


@click.command(cls=TrainCommand)
@click.option(
    "--config", metavar="YAML", type=PATH, shell_complete=complete_files,
    help="File of settings, as of tlapp train; flags override it.",
)  # fmt: skip
@click.option("--output", metavar="PNG", type=PATH, shell_complete=complete_files, help="A plot to write.")
@trust_option
@json_option
def find_lr(config: str | None, output: str | None, trust: bool, as_json: bool, **flags: Any) -> None:
    """Find a learning rate for --plugin on your pictures, by a short training in which it rises. Nothing is kept.

    Takes the settings of tlapp train, which finds it itself with --learning-rate auto.
    """
    from tlapp.api import job_of
    from tlapp.learning_rate import search

    plots.check(output, "output")
    settings = resolve(flags, config)
    with Screen() as screen:
        found = search(settings, screen, lambda each: job_of(each, trust))
    if output:
        plots.rates(output, found)
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"--learning-rate {found['learning_rate']:g}  (phase {found['phase']})")
    if output:
        click.echo(f"written: {output}")
