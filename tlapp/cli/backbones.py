"""tlapp backbones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from tlapp import registry
from tlapp.api import provider_of
from tlapp.cli.completion import complete_backbones, complete_files
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.usage import Group
from tlapp.contracts import Card
from tlapp.errors import PluginError
from tlapp.tensorflow_import import forbid_tensorflow, quiet_tensorflow

LINE = 80
"""Characters of a line of the table."""


@click.group(cls=Group)
def backbones() -> None:
    """List the pre-trained networks, or show one."""


@backbones.command("list")
@click.option("--installed", is_flag=True, help="Only those whose weights are on this machine.")
@json_option
def list_backbones(installed: bool, as_json: bool) -> None:
    """List every backbone: its ID, parameters, pixels a side, where its weights come from, and their licence.

    IDs that begin with hub: or file: take a path of yours. Nothing is loaded or downloaded.
    """
    rows, broken = [], []
    for prefix in registry.installed("backbone"):
        try:
            rows += [row for row in _rows(prefix) if row["installed"] or not installed]
        except PluginError as error:
            broken.append({"id": f"{prefix}:", "broken": str(error)})
    if as_json:
        click.echo(json.dumps({"backbones": rows, "broken": broken}))
        return
    for line in table(rows):
        click.echo(line)
    for each in broken:
        click.echo(f"{each['id']} BROKEN: {each['broken']}")


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line a backbone, two where its ID is long; its licence is a number, which is explained below."""
    licences = list(dict.fromkeys(row["licence"] for row in rows if row["licence"]))
    origin = max((len(row["weights"]) for row in rows), default=7)
    width = min(max((len(row["id"]) for row in rows), default=2), LINE - len(f"  {'':11}  {'':6}  {'':{origin}}  licence"))
    yield f"{'ID':{width}}  {'parameters':>11}  {'pixels':>6}  {'weights':{origin}}  licence"
    for row in rows:
        params, size = (f"{row[key]:,}" if row[key] is not None else "" for key in ("params", "image_size"))
        mark = f"[{licences.index(row['licence']) + 1}]" if row["licence"] else ""
        name = row["id"]
        if len(name) > width:
            yield name
            name = ""
        yield f"{name:{width}}  {params:>11}  {size:>6}  {row['weights']:{origin}}  {mark}".rstrip()
    for number, licence in enumerate(licences, 1):
        yield f"[{number}] {licence}"


def _rows(prefix: str) -> list[dict[str, Any]]:
    """What a provider says of each of its backbones."""
    provider = provider_of(f"{prefix}:any")[0]
    try:
        with forbid_tensorflow():
            names = list(provider.names())
    except PluginError:  # its names may take Keras
        quiet_tensorflow()
        names = list(provider.names())
    if not names:
        return [{"id": f"{prefix}:...", **Card(weights="a path")._asdict()}]
    return [{"id": f"{prefix}:{name}", **provider.card(name)._asdict()} for name in names]


@backbones.command("show")
@click.argument("identity", metavar="ID", shell_complete=complete_backbones)
@click.option("--image-size", type=int, help="Pixels a side.")
@click.option(
    "--backbone-weights", metavar="FILE|none", shell_complete=complete_files, help="Weights file, or none for random ones."
)
@trust_option
@json_option
def show_backbone(identity: str, image_size: int | None, backbone_weights: str | None, trust: bool, as_json: bool) -> None:
    """Show the stages of a backbone, from input to output, with their parameters and output shapes."""
    quiet_tensorflow()
    provider, name = provider_of(identity, trust)
    loaded = provider.load(name, image_size=image_size, weights=backbone_weights)
    facts = loaded.facts
    total = sum(stage.params for stage in facts.stages)
    if as_json:
        stages = [{"name": stage.name, "params": stage.params, "shape": stage.shape} for stage in facts.stages]
        about = {"id": facts.name, "input": facts.input.words, "weights": loaded.weights, "licence": loaded.licence}
        click.echo(json.dumps({**about, "params": total, "stages": stages}))
        return
    click.echo(f"{facts.name}: {facts.input.words}, weights: {loaded.weights or 'unknown'}")
    if loaded.licence:
        click.echo(f"licence of the weights: {loaded.licence}")
    click.echo(f"{'stage':12} {'parameters':>12}  output shape")
    for stage in facts.stages:
        click.echo(f"{stage.name:12} {stage.params:12,}  {' x '.join(str(side or 'any') for side in stage.shape)}")
    click.echo(f"{'total':12} {total:12,}")
