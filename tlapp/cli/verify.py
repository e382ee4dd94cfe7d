"""tlapp verify."""

from __future__ import annotations

import json

import click

from tlapp.api import layers
from tlapp.cli.completion import PATH, complete_files
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.usage import Command
from tlapp.words import counted


@click.command(cls=Command)
@click.argument("artifact", type=PATH, shell_complete=complete_files)
@trust_option
@json_option
def verify(artifact: str, trust: bool, as_json: bool) -> None:
    """Check that ARTIFACT, an exported folder or a file in it, is unchanged and gives the same answers as at its export."""
    from tlapp.engine.export.verify import verify as replay

    report = replay(artifact, layers, trust)
    if as_json:
        click.echo(json.dumps(report))
        return
    click.echo(
        f"{artifact}: unchanged; {counted(report['images'], report['noun'])}, largest difference of an answer "
        f"{report['largest_difference']:.6f} (at most {report['tolerance']:g})"
    )
