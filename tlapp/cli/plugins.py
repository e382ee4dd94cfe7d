"""tlapp plugins."""

from __future__ import annotations

import inspect

import click

from tlapp import registry
from tlapp.cli.options import metavar, show
from tlapp.errors import TlappError
from tlapp.settings import HEAD, flag, plugin_options


@click.group()
def plugins() -> None:
    """List the installed strategies and heads."""


@plugins.command("list")
def list_plugins() -> None:
    """Every strategy, head and source of backbones, with where it comes from."""
    for kind in registry.GROUPS:
        for name, points in registry.found(kind).items():
            click.echo(f"{kind:10} {name:16} {' and '.join(map(registry.origin, points)):16} {_summary(kind, name)}")


@plugins.command("show")
@click.argument("name")
def show_plugin(name: str) -> None:
    """The options of a strategy or head."""
    kind = "head" if name in registry.found("head") and name not in registry.found("strategy") else "strategy"
    options = plugin_options(kind, name)
    click.echo(f"{kind} {name}: {inspect.getdoc(options)}\n")
    for key, field in options.model_fields.items():
        shown = flag((HEAD if kind == "head" else "") + key)
        click.echo(f"  {shown:18} {metavar(field):12} {field.description}  [default: {show(field.default)}]")


def _summary(kind: str, name: str) -> str:
    try:
        return (inspect.getdoc(registry.load(kind, name)) or "").partition("\n")[0]
    except TlappError as error:
        return f"BROKEN: {error}"
