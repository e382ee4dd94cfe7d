"""tlapp doctor."""

from __future__ import annotations

import json

import click

from tlapp.cli.options import trust_option
from tlapp.cli.usage import Command
from tlapp.errors import UserError


@click.command(cls=Command)
@click.option("--backbone", metavar="ID", help="Also convert this backbone, untrained, to what a phone runs.")
@click.option("--backbone-weights", metavar="FILE", help="Its weights file, or none for random ones.")
@trust_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object to standard output, and nothing else there.")
def doctor(backbone: str | None, backbone_weights: str | None, trust: bool, as_json: bool) -> None:
    """Say what is installed, and try on tiny data: train, save, reload, SavedModel, TFLite, parity. Takes about a minute."""
    from tlapp.api import provider_of
    from tlapp.engine.export.doctor import Candidate, examine, installed

    if trust and not backbone:
        raise UserError("counts only with option backbone", option="trust")
    candidate = Candidate(*provider_of(backbone, trust), backbone_weights) if backbone else None
    facts, steps = installed(), []
    if not as_json:
        for name, value in facts.items():
            click.echo(f"{name:24} {value}")
    for step in examine(candidate):
        steps.append(step)
        if not as_json:
            click.echo(f"{step.name:24} {'ok' if not step.fault else 'FAILED: ' + step.fault} ({step.seconds:.1f} s)")
    if as_json:
        click.echo(json.dumps({"installed": facts, "rehearsal": [step._asdict() for step in steps]}))
    if failed := [step.name for step in steps if step.fault]:
        raise UserError(f"this machine fails at: {', '.join(failed)}")
