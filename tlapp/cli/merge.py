"""tlapp merge."""

from __future__ import annotations

import click

from tlapp.cli.completion import PATH, complete_folders, complete_runs
from tlapp.cli.options import trust_option
from tlapp.cli.usage import Command
from tlapp.words import printable


@click.command(cls=Command)
@click.argument("path", metavar="RUN", type=PATH, shell_complete=complete_runs)
@click.option("--output", metavar="PATH", type=PATH, required=True, shell_complete=complete_folders, help="Folder to write.")
@trust_option
def merge(path: str, output: str, trust: bool) -> None:
    """Make a run with a whole model of what RUN changed: a run's folder, or its adapter.safetensors.

    The pre-trained network is loaded as the run loaded it; what was trained is merged into its layers where that can be.
    """
    from tlapp.api import merge as make

    run = make(path, output, trust=trust)
    click.echo(printable(f"run: {run.folder}"))
