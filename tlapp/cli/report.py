"""tlapp report."""

from __future__ import annotations

import json

import click

from tlapp.cli.completion import PATH, complete_files, complete_runs
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.usage import Command
from tlapp.words import printable


@click.command(cls=Command)
@click.argument("run", type=PATH, shell_complete=complete_runs)
@click.option(
    "--output", metavar="HTML", type=PATH, shell_complete=complete_files, help="File to write.  [default: report.html in RUN]"
)
@click.option("--no-images", is_flag=True, help="Leave out the pictures or texts, and their names, for private data.")
@trust_option
@json_option
def report(run: str, output: str | None, no_images: bool, trust: bool, as_json: bool) -> None:
    """Write a page about a finished run: figures, mistakes, heat maps, data.

    The page is one file that needs no network and no other file. `tlapp train` writes one too, with heat maps only if the run
    took long enough.
    """
    from tlapp.visuals import report as write

    path = write(run, output, images=not no_images, trust=trust)
    click.echo(json.dumps({"report": str(path)}) if as_json else printable(f"written: {path}"))
