"""tlapp backbones."""

from __future__ import annotations

import click

from tlapp import registry
from tlapp.api import provider_of
from tlapp.cli.options import trust_option
from tlapp.cli.usage import Group
from tlapp.errors import PluginError
from tlapp.tensorflow_import import quiet_tensorflow


@click.group(cls=Group)
def backbones() -> None:
    """List the pre-trained networks, or show one."""


@backbones.command("list")
def list_backbones() -> None:
    """The ID of every backbone that can be listed; hub: and file: take a path of yours."""
    quiet_tensorflow()
    for prefix in registry.installed("backbone"):
        try:
            names = list(provider_of(f"{prefix}:any")[0].names())
        except PluginError as error:
            click.echo(f"{prefix}: BROKEN: {error}")
            continue
        for name in names or ["..."]:
            click.echo(f"{prefix}:{name}")


@backbones.command("show")
@click.argument("identity", metavar="ID")
@click.option("--image-size", type=int, help="Pixels a side.")
@click.option("--backbone-weights", metavar="FILE|none", help="Weights file, or none for random ones.")
@trust_option
def show_backbone(identity: str, image_size: int | None, backbone_weights: str | None, trust: bool) -> None:
    """The stages of a backbone, from input to output, with their parameters and output shapes."""
    quiet_tensorflow()
    provider, name = provider_of(identity, trust)
    loaded = provider.load(name, image_size=image_size, weights=backbone_weights)
    facts = loaded.facts
    click.echo(f"{facts.name}: {facts.input.words}, weights: {loaded.weights or 'unknown'}")
    click.echo(f"{'stage':12} {'parameters':>12}  output shape")
    for stage in facts.stages:
        click.echo(f"{stage.name:12} {stage.params:12,}  {' x '.join(map(str, stage.shape))}")
    click.echo(f"{'total':12} {sum(stage.params for stage in facts.stages):12,}")
