"""tlapp advise."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from tlapp.cli.completion import PATH, complete_files
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.errors import UserError
from tlapp.words import printable


@click.command(cls=Command)
@click.option("--data", type=PATH, required=True, shell_complete=complete_files, help="As of `tlapp train`.")
@click.option("--backbones", metavar="A,B,...", help="Backbones to compare.  [default: keras-cv:efficientnet-lite0]")
@click.option(
    "--target", type=PATH, shell_complete=complete_files,
    help="Unlabelled pictures on which the model is to be used: do they look different?",
)  # fmt: skip
@click.option("--image-size", type=click.IntRange(32, 2048), metavar="N", help="Pixels a side.  [default: the backbone's own]")
@click.option("--seed", type=click.IntRange(0), help="Of the split; its test is not looked at.  [default: 0]")
@click.option(
    "--output", metavar="YAML", type=PATH, shell_complete=complete_files, help="Settings to write, for `tlapp train --config`."
)
@trust_option
@json_option
def advise(
    data: str, backbones: str | None, target: str | None, image_size: int | None, seed: int | None, output: str | None,
    trust: bool, as_json: bool,
) -> None:  # fmt: skip
    """Say, before training, which backbone and strategy suit your data, and what more of it would buy.

    One pass of each frozen backbone; then logistic regression on what its stages say, cross-validated, without the test set.
    """
    from tlapp.advice import advise as ask

    if output and Path(output).exists():
        raise UserError("already exists; remove it, or name another", output, option="output")
    with Screen() as screen:
        names = [name.strip() for name in (backbones or "").split(",") if name.strip()]
        found = ask(data, names, target=target, reporter=screen, trust=trust, image_size=image_size, seed=seed)
    if output:
        text = "".join(f"# {reason}\n" for reason in found["reasons"]) + yaml.safe_dump(found["settings"], sort_keys=False)
        Path(output).write_text(text, encoding="utf-8")
    if as_json:
        click.echo(json.dumps(found))
        return
    for line in lines(found):
        click.echo(printable(line))
    if output:
        click.echo(printable(f"written: {output}; tlapp train --config {output}"))


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """For people."""
    noun = found["noun"]
    counts = ", ".join(f"{count} {name}" for name, count in found["images"].items())
    yield f"{found['classes']} classes of {found['least']} to {found['most']} {noun}s without test; {counts}"
    width = max(map(len, found["backbones"]))
    for name, each in found["backbones"].items():
        (low, high), (below, above) = each["interval"], each["all_stages_interval"]
        stages = f"{each['all_stages']:.3f} ({below:.3f} to {above:.3f}) on all stages"
        cost = f"{each['ms']:.1f} ms a {noun}, {each['megabytes']:.0f} MB, {each['licence'] or 'licence unknown'}"
        yield f"{name:{width}}  {each['accuracy']:.3f} ({low:.3f} to {high:.3f}) on its features, {stages}; {cost}"
    best = next(iter(found["backbones"].values()))
    yield "stages of the first, each alone: " + ", ".join(f"{name} {value:.3f}" for name, value in best["stages"].items())
    points = ", ".join(f"{size} {accuracy:.3f}" for size, accuracy in found["curve"]["points"])
    yield f"{noun}s trained on, and accuracy: {points}"
    yield "about, on this machine: " + ", ".join(f"{name} {_time(seconds)}" for name, seconds in found["costs"].items())
    for reason in found["reasons"]:
        yield f"- {reason}"
    settings = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in found["settings"].items())
    yield f"advice: tlapp train {settings}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
