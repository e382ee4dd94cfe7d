"""tlapp diff."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from tlapp.cli.completion import PATH, complete_runs
from tlapp.cli.options import json_option
from tlapp.cli.usage import Command
from tlapp.words import printable

SHOWN = 20


@click.command(cls=Command)
@click.argument("one", metavar="RUN", type=PATH, shell_complete=complete_runs)
@click.argument("other", metavar="OTHER", type=PATH, shell_complete=complete_runs)
@json_option
def diff(one: str, other: str, as_json: bool) -> None:
    """Say in which settings two finished runs differ, and which test examples they answer otherwise."""
    from tlapp.api import load_run
    from tlapp.engine.advice.comparison import flipped

    found = flipped(load_run(one).files, load_run(other).files)
    if as_json:
        click.echo(json.dumps(found))
        return
    for line in lines(found):
        click.echo(printable(line))


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """For people."""
    for key, (before, after) in found["settings"].items():
        yield f"{key}: {before} -> {after}"
    if not found["tested"]:
        yield "they were tested on no example in common"
        return
    gap, low, high = (100 * each for each in (found["difference"], *found["difference_interval"]))
    flips = found["flips"]
    better = sum(after == label for _, label, _, after in flips)
    worse = sum(before == label for _, label, before, _ in flips)
    yield f"test: {found['tested']} examples in common; accuracy {gap:+.1f} points ({low:+.1f} to {high:+.1f})"
    yield f"{len(flips)} answers changed: {better} became right, {worse} became wrong"
    for name, label, before, after in flips[:SHOWN]:
        yield f"  {name} ({label}): {before} -> {after}"
    if len(flips) > SHOWN:
        yield f"  and {len(flips) - SHOWN} more (--json has them)"
