"""tlapp adapt."""

from __future__ import annotations

import click

from tlapp.cli.completion import PATH, complete_files, complete_folders, complete_runs
from tlapp.cli.options import trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.reuse import adapt as make
from tlapp.words import counted, printable


@click.command(cls=Command)
@click.argument("run", type=PATH, shell_complete=complete_runs)
@click.option("--support", type=PATH, required=True, shell_complete=complete_files, help="Class folders or CSV: new classes.")
@click.option("--query", type=PATH, shell_complete=complete_files, help="Others of these classes, to measure by.")
@click.option("--output", type=PATH, required=True, shell_complete=complete_folders, help="Folder of the new run.")
@click.option("--views", type=click.IntRange(1, 3), default=3, metavar="N", help="Views of each picture of --support, to learn "
              "their mean: as it is, nearer, farther.  [default: 3]")  # fmt: skip
@trust_option
def adapt(run: str, support: str, query: str | None, output: str, views: int, trust: bool) -> None:
    """Make a run that knows the classes of --support, by a few pictures of each, in seconds.

    Nothing trains. RUN must be one of --plugin feature-extract --classifier lda; the more classes it knows, the better.
    """
    with Screen() as screen:
        made = make(run, support, output, query=query, views=views, reporter=screen, trust=trust)
    click.echo(printable(f"{len(made.labels)} classes: {', '.join(made.labels)}"))
    if test := made.metrics["test"]:
        click.echo(f"accuracy on --query: {test['accuracy']:.4f} ({counted(test['n'], made.input.noun)})")
    click.echo(printable(f"run: {made.folder}"))
