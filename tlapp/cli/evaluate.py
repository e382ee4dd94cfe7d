"""tlapp evaluate."""

from __future__ import annotations

import json

import click

from tlapp.api import load
from tlapp.cli.options import trust_option
from tlapp.cli.screen import Screen, split_line
from tlapp.cli.usage import Command


@click.command(cls=Command)
@click.argument("run")
@click.option("--data", required=True, help="Class folders, or a CSV with path,label.")
@click.option("--on-bad", type=click.Choice(["fail", "skip"]), default="fail", help="What a picture that cannot be read does.")
@trust_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object to standard output, and nothing else there.")
def evaluate(run: str, data: str, on_bad: str, trust: bool, as_json: bool) -> None:
    """Measure the model of the folder RUN on other labelled pictures."""
    saved = load(run, trust=trust)
    with Screen() as screen:
        metrics = saved.evaluate(data, on_bad, screen)
    if as_json:
        click.echo(json.dumps(metrics))
        return
    click.echo(split_line("data", metrics))
    width = max(len(name) for name in metrics["classes"])
    for name, each in metrics["classes"].items():
        click.echo(f"  {name:{width}}  recall {each['recall']:.4f}  precision {each['precision']:.4f}  ({each['n']} pictures)")
