"""tlapp merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from tlapp.cli.completion import PATH, complete_folders, complete_runs
from tlapp.cli.options import trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.errors import UserError
from tlapp.reuse import merge as merge_one
from tlapp.reuse import merge_tasks
from tlapp.words import printable

QUANTIZE = ("dynamic", "float16", "none")


@click.command(cls=Command)
@click.argument("runs", metavar="RUN...", type=PATH, nargs=-1, required=True, shell_complete=complete_runs)
@click.option("--output", metavar="PATH", type=PATH, required=True, shell_complete=complete_folders, help="Folder to write.")
@click.option("--quantize", type=click.Choice(QUANTIZE), help="Of several runs; dynamic: int8 weights.  [default: dynamic]")
@click.option("--max-drop", type=click.FloatRange(0, 1), default=0.01, metavar="X", help="Accuracy that "
              "quantization may cost each of several runs on its test set.  [default: 0.01]")  # fmt: skip
@trust_option
def merge(runs: tuple[str, ...], output: str, quantize: str | None, max_drop: float, trust: bool) -> None:
    """Make a whole model of what a run changed, or one TFLite file of several runs.

    One RUN, a run's folder or its adapter.safetensors: a run with a whole model, what was trained merged into the pre-trained
    network's layers where that can be.

    Several RUNs, folders: one file, in which stands once what they share, with an output for each, named after its folder or
    as NAME=RUN says, and checked on its test pictures.
    """
    if len(runs) == 1 and "=" not in runs[0]:
        if quantize:
            raise UserError("is for several runs; `tlapp export` quantises one", quantize, option="quantize")
        click.echo(printable(f"run: {merge_one(runs[0], output, trust=trust).folder}"))
        return
    with Screen() as screen:
        report = merge_tasks(
            _named(runs), output, quantize=quantize or QUANTIZE[0], max_drop=max_drop, reporter=screen, trust=trust
        )  # fmt: skip
    for line in lines(report):
        click.echo(printable(line))


def _named(runs: tuple[str, ...]) -> dict[str, str]:
    """The runs by the names of their outputs."""
    named: dict[str, str] = {}
    for run in runs:
        name, equals, path = run.partition("=")
        name, path = (name, path) if equals else (Path(run).name, run)
        if name in named:
            raise UserError(f"two outputs would be called {name}; NAME=RUN gives a run another name")
        named[name] = path
    return named


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for people."""
    yield f"{report['artifact']}, quantize {report['quantize']}: {report['bytes'] / 1e6:.2f} MB"
    for name, task in report["tasks"].items():
        check = task["check"]
        metric = check["metric"]
        yield (
            f"  {name}: agreement with its run {check['agreement']:.2%} of {check['n']}; "
            f"{metric} {check[f'{metric}_before']:.4f} before, {check[f'{metric}_after']:.4f} after"
        )
    yield f"written: {report['folder']}"
