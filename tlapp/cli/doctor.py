"""tlapp doctor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tlapp.cli.completion import complete_backbones, complete_files
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.usage import Command
from tlapp.errors import UserError
from tlapp.words import printable

if TYPE_CHECKING:
    from tlapp.cli.machine import Fact
    from tlapp.engine.export.doctor import Step


@click.command(cls=Command)
@click.option(
    "--backbone",
    metavar="ID",
    shell_complete=complete_backbones,
    help="Also convert this backbone, untrained, to what a phone runs.",
)
@click.option(
    "--backbone-weights", metavar="FILE", shell_complete=complete_files, help="Its weights file, or none for random ones."
)
@trust_option
@json_option
def doctor(backbone: str | None, backbone_weights: str | None, trust: bool, as_json: bool) -> None:
    """Report what this machine has and what is missing; then train and export a tiny model. Takes about a minute."""
    from tlapp.api import provider_of
    from tlapp.cli import machine
    from tlapp.engine.export.doctor import Candidate, devices, examine

    if trust and not backbone:
        raise UserError("counts only with option backbone", option="trust")
    candidate = Candidate(*provider_of(backbone, trust), backbone_weights) if backbone else None
    facts, steps = [], []

    def say(line: str) -> None:
        if not as_json:
            click.echo(printable(line))

    for fact in machine.facts():
        facts.append(fact)
        say(fact.line)
    found = devices()
    facts += [machine.Fact("devices", ", ".join(found), found), machine.device_fact(found)]
    for fact in facts[-2:]:
        say(fact.line)
    for step in examine(candidate):
        steps.append(step)
        say(f"{step.name:28} {'ok' if not step.fault else 'FAILED: ' + step.fault} ({step.seconds:.1f} s)")
    if as_json:
        click.echo(json.dumps(_report(facts, steps)))
    if failed := [step.name for step in steps if step.fault]:
        raise UserError(f"this machine fails at: {', '.join(failed)}")


def _report(facts: Sequence[Fact], steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "installed": {fact.name: fact.words for fact in facts},
        "machine": {fact.name: fact.value for fact in facts},
        "advice": {fact.name: fact.advice for fact in facts if fact.advice},
        "rehearsal": [step._asdict() for step in steps],
    }
