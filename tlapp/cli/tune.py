"""tlapp tune."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import yaml

from tlapp.cli.completion import PATH, complete_files, complete_folders, complete_plugins
from tlapp.cli.options import json_option, on_option, settings_of
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.errors import UserError
from tlapp.words import flag, printable

TUNED = "tuned.yaml"


@click.command(cls=Command)
@click.option("--data", type=PATH, required=True, shell_complete=complete_files, help="As of `tlapp train`.")
@click.option("--plugin", metavar="NAME", required=True, shell_complete=complete_plugins("strategy"), help="The strategy.")
@click.option(
    "--over", metavar="OPTION[=LOW..HIGH|=A|B]", multiple=True, required=True,
    help="An option to search, over its own range or over this one; several times.",
)  # fmt: skip
@click.option("--trials", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many to carry out.")
@click.option("--timeout", metavar="5m", help="Such as 90s, 5m or 2h: after it no more is begun.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="A setting of every trial, such as image_size=96.")
@click.option(
    "--output", metavar="FOLDER", type=PATH, required=True, shell_complete=complete_folders,
    help="For the trials' runs. With the same folder again, the search goes on.",
)  # fmt: skip
@on_option
@json_option
def tune(
    data: str, plugin: str, over: tuple[str, ...], trials: int, timeout: str | None, settings: tuple[str, ...], output: str,
    on: str, as_json: bool,
) -> None:  # fmt: skip
    """Search the options of a strategy for those of the least loss on val, the defaults first. Needs tlapp[tune].

    Trials that do worse than most are stopped early. The figure of the best on test is honest: only val chose. Ctrl-C stops;
    the same command goes on.
    """
    from tlapp.contracts import duration
    from tlapp.settings import resolve
    from tlapp.trials.on_ray import workers_on
    from tlapp.trials.ranges import ranges
    from tlapp.trials.tune import Search

    seconds = None if timeout is None else duration(timeout, "timeout")
    shared = {"data": data, "plugin": plugin, **settings_of(settings)}
    found = resolve(shared)
    if found.strategy.rungs():
        raise UserError("tries strategies by itself; tune one of them", plugin, option="plugin")
    searched = ranges(over, found)
    with Screen() as screen, closing(workers_on(on)) as workers:
        report = Search(shared, searched, Path(output), screen, workers).run(trials, seconds)
    best = Path(output) / TUNED
    best.write_text(yaml.safe_dump(resolve(report["settings"]).repeatable(), sort_keys=False), encoding="utf-8")
    if as_json:
        click.echo(json.dumps({**report, "config": str(best)}))
        return
    for line in lines(report):
        click.echo(printable(line))
    click.echo(printable(f"written: {best}; tlapp train --config {best}"))


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """For people."""
    from tlapp.trials.tune import show

    counts = report["trials"]
    yield f"trials: {counts['complete']} finished, {counts['pruned']} stopped early, {counts['fail']} failed"
    yield f"best on val (loss {report['value']:.4f}): " + " ".join(
        f"{flag(key)} {show(value)}" for key, value in report["best"].items()
    )
    if row := report["row"]:
        low, high = row["accuracy_interval"]
        yield f"its test: accuracy {row['accuracy']:.4f} ({low:.2f} to {high:.2f})"
    if row and row["difference"] is not None:
        below, above = (100 * end for end in row["difference_interval"])
        yield f"beside the defaults, on test: {100 * row['difference']:+.1f} points ({below:+.1f} to {above:+.1f})"
    yield f"run: {report['run']}"
