"""tlapp evaluate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from tlapp.api import load
from tlapp.cli.completion import PATH, complete_files, complete_runs
from tlapp.cli.fast import keep_fast
from tlapp.cli.options import json_option, task_option, trust_option
from tlapp.cli.result import class_lines, known_line, split_line
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.engine.data.measuring import SPLITS
from tlapp.engine.runs.predictor import Predictor
from tlapp.words import printable


@click.command(cls=Command)
@click.argument("run", metavar="MODEL", type=PATH, shell_complete=complete_runs)
@click.option(
    "--data", type=PATH, required=True, shell_complete=complete_files,
    help="Class folders, or a CSV with path,label. RUN/splits.csv holds the run's own pictures.",
)  # fmt: skip
@click.option(
    "--split", type=click.Choice(SPLITS),
    help="The part to measure on, where --data is divided into train, val and test.  [default: test]",
)  # fmt: skip
@click.option(
    "--on-bad", type=click.Choice(["fail", "skip"]), default="fail",
    help="Pictures that cannot be read: stop, or skip them.  [default: fail]",
)  # fmt: skip
@click.option("--unfinished", is_flag=True, help="Use the best model so far of a run that was stopped.")
@task_option
@trust_option
@json_option
def evaluate(
    run: str, data: str, split: str | None, on_bad: str, unfinished: bool, task: str | None, trust: bool, as_json: bool
) -> None:
    """Measure a trained model on labelled pictures or texts.

    MODEL is the folder of a run, or an export: its folder, or the model file in it. A note says how many of the pictures the run
    was trained on.
    """
    model = load(run, trust=trust, unfinished=unfinished, task=task)
    with Screen() as screen:
        metrics = model.evaluate(data, on_bad, screen, split)
    if as_json:
        click.echo(json.dumps(metrics))
    else:
        _print(metrics, model)
    keep_fast(model)


def _print(metrics: Mapping[str, Any], model: Predictor) -> None:
    name, noun = metrics["split"], model.input.noun
    click.echo(split_line(name, metrics, noun))
    if known := metrics.get("known"):
        click.echo(known_line(name, known, noun))
    for line in class_lines(name, metrics, most=len(model.labels), noun=noun):
        click.echo(printable(line))
