"""tlapp compare."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from tlapp.cli import plots
from tlapp.cli.completion import PATH, complete_files, complete_folders
from tlapp.cli.options import json_option, on_option, settings_of
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.errors import UserError
from tlapp.words import printable


def _names(context: Any, option: Any, value: str | None) -> list[str]:
    """Parts of a list with commas between; options of a strategy keep theirs: a part without a name before its : goes on."""
    parts: list[str] = []
    for part in (value or "").split(","):
        if parts and "=" in part and ":" not in part:
            parts[-1] += f",{part}"
        elif part.strip():
            parts.append(part.strip())
    return parts


@click.command(cls=Command)
@click.option("--data", type=PATH, required=True, shell_complete=complete_files, help="As of `tlapp train`.")
@click.option("--plugins", metavar="A,B,...", required=True, callback=_names, help="Strategies, each with options of its own if "
              "need be: freeze,partial:last=3. The others are compared with the first.")  # fmt: skip
@click.option("--backbones", metavar="A,B,...", callback=_names, help="Backbones, each with every strategy.")
@click.option(
    "--seeds", type=click.IntRange(1, 100), default=3, metavar="K", help="Seeds 0 to K-1: each splits anew.  [default: 3]"
)
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="A setting of every run, such as image_size=96.")
@click.option(
    "--output", metavar="FOLDER", type=PATH, required=True, shell_complete=complete_folders,
    help="For the trials' runs. With the same folder again, only what is missing is trained.",
)  # fmt: skip
@click.option("--tflite", is_flag=True, help="Also export the first seed's run of each to TFLite: bytes and milliseconds.")
@click.option(
    "--plot", metavar="PNG", type=PATH, shell_complete=complete_files, help="A plot to write: accuracy by what it costs."
)
@on_option
@json_option
def compare(
    data: str,
    plugins: list[str],
    backbones: list[str],
    seeds: int,
    settings: tuple[str, ...],
    output: str,
    tflite: bool,
    plot: str | None,
    on: str,
    as_json: bool,
) -> None:
    """Train several strategies on the same splits, and say which is better and by how much.

    Each trial runs in a process of its own: one that fails costs no other. Ctrl-C stops; the same command goes on.
    """
    from tlapp.trials import compare as trials
    from tlapp.trials.on_ray import workers_on

    plots.check(plot, "plot")
    shared = {"data": data, **settings_of(settings)}
    if not plugins:
        raise UserError("names no strategy", option="plugins")
    every = trials.kinds(plugins, backbones, shared)
    with Screen() as screen, closing(workers_on(on)) as workers:
        report = trials.compare(every, seeds, Path(output), screen, workers, tflite)
    if plot and report["rows"]:
        measured = tflite and all(row["tflite_ms"] for row in report["rows"].values())
        cost = ("tflite_ms", "TFLite, milliseconds an example") if measured else ("seconds", "seconds of training")
        plots.pareto(plot, report["rows"], *cost)
    if as_json:
        click.echo(json.dumps(report))
    else:
        for line in trials.lines(report):
            click.echo(printable(line))
    if not report["rows"]:
        raise UserError("every trial failed; each is named above")
