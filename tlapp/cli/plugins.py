"""tlapp plugins."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import click

from tlapp import registry
from tlapp.contracts import Task
from tlapp.errors import TlappError, UserError
from tlapp.words import flag, suggestion

TASK = Task(tuple("abcdefghij"), {"train": 650, "val": 150, "test": 200, "target": 1000, "aux": 1000}, tuple("uvw"))
"""To show a plan for: ten classes of a hundred examples, and every stream that a strategy may ask for."""
KINDS = click.Choice(list(registry.GROUPS))


def _complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    kinds = [context.params.get("kind")] if context.params.get("kind") else registry.GROUPS
    return sorted({name for kind in kinds for name in registry.found(str(kind)) if name.startswith(typed)})


named = click.argument("name", shell_complete=_complete)
of_kind = click.option("--kind", type=KINDS, help="Which one, where plugins of two kinds share the name.")


@click.group()
def plugins() -> None:
    """List, show, check or begin strategies, heads and sources of backbones."""


@plugins.command("list")
@click.option("--check", is_flag=True, help="Import each one to see whether it works; without it, only the source is read.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object to standard output, and nothing else there.")
def list_plugins(check: bool, as_json: bool) -> None:
    """Every strategy, head and source of backbones, with where it comes from; broken ones with the reason."""
    rows = [_row(kind, name, check) for kind in registry.GROUPS for name in registry.found(kind)]
    if as_json:
        click.echo(json.dumps({"plugins": rows}))
        return
    widths = {key: max(len(row[key]) for row in rows) for key in ("kind", "name", "from")} if rows else {}
    for row in rows:
        columns = "  ".join(f"{row[key]:{width}}" for key, width in widths.items())
        click.echo(f"{columns}  {'BROKEN: ' + row['broken'] if row['broken'] else row['help']}")


def _row(kind: str, name: str, check: bool) -> dict[str, str]:
    from tlapp.plugin_source import glance

    points = registry.found(kind)[name]
    seen = glance(kind, points[0])
    fault = f"{len(points)} distributions claim this name; uninstall all but one" if len(points) > 1 else seen.fault
    if check and not fault:
        fault = _fault(kind, name)
    return {"kind": kind, "name": name, "from": " and ".join(map(registry.origin, points)), "help": seen.help, "broken": fault}


def _fault(kind: str, name: str) -> str:
    """What `tlapp train` would say of a plugin's class, without its name."""
    from tlapp.settings import plugin_options

    try:
        if kind == "backbones":
            registry.load(kind, name)
        else:
            plugin_options(kind, name)
    except TlappError as error:
        return str(error).removeprefix(registry.label(kind, name)).removeprefix(":").strip()
    return ""


@plugins.command("show")
@named
@of_kind
@click.option(
    "--backbone", metavar="ID", help="Plan for this one, which is loaded.  [default: keras-cv:efficientnet-lite0, from a table]"
)
def show_plugin(name: str, kind: str | None, backbone: str | None) -> None:
    """The options of a plugin, and the plan that a strategy makes for a backbone."""
    kind = _kind(name, kind)
    if kind == "backbones":
        provider = registry.load(kind, name)
        click.echo(f"{registry.label(kind, name)}: {_help(provider)}\n\n  IDs: tlapp backbones list")
        return
    from tlapp.settings import plugin_options

    options = plugin_options(kind, name)
    click.echo(f"{registry.label(kind, name)}, written for contract {options.contract}\n\n{_help(options)}\n")
    for line in option_lines(options, kind):
        click.echo(line)
    if kind == "strategy":
        click.echo()
        for line in _plan(name, options, backbone):
            click.echo(line)


def option_lines(options: Any, kind: str) -> Iterator[str]:
    """A line an option: flag, what to type, range, help and default."""
    from tlapp.cli.options import describe, metavar
    from tlapp.settings import HEAD

    prefix = HEAD if kind == "head" else ""
    for key, field in options.model_fields.items():
        yield f"  {flag(prefix + key):18} {metavar(field):12} {describe(field, prefix)}"
    if not options.model_fields:
        yield "  no options"


def _plan(name: str, options: Any, backbone: str | None) -> Iterator[str]:
    from tlapp import blame
    from tlapp.engine.check import make_plan
    from tlapp.engine.outline import plan_lines

    label = registry.label("strategy", name)
    facts = _load(backbone) if backbone else _default_facts()
    try:
        with blame.naming(label):
            plan = make_plan(blame.strategy(options(), label), TASK, facts)
    except (TlappError, ValueError) as error:  # pydantic's is a ValueError: an option without a default
        yield f"no plan with the default options: {' '.join(str(error).split())}"
        return
    yield from plan_lines(plan, facts)


def _default_facts() -> Any:
    """The facts of the default backbone, which need no Keras."""
    from tlapp.engine.options import RunOptions

    provider, name = registry.backbone(RunOptions.model_fields["backbone"].default)
    return provider.facts(name)


def _load(identity: str) -> Any:
    from tlapp.tensorflow_import import quiet_tensorflow

    provider, name = registry.backbone(identity)
    quiet_tensorflow()
    return provider.load(name).facts


def _help(plugin: Any) -> str:
    return inspect.getdoc(plugin) or "(no help)"


def _kind(name: str, kind: str | None) -> str:
    """The kind of a name: the one given, or the first that has it."""
    if kind is not None:
        registry.point(kind, name)
        return kind
    kinds = [kind for kind in registry.GROUPS if name in registry.found(kind)]
    if len(kinds) > 1:
        raise UserError(f"{name}: is the name of a {' and of a '.join(kinds)}; give --kind")
    if kinds:
        return kinds[0]
    every = [name for kind in registry.GROUPS for name in registry.found(kind)]
    raise UserError(f"{name}: no plugin of that name is installed; {suggestion(name, every)}")


@plugins.command("new")
@click.argument("name")
@click.option("--kind", type=KINDS, default="strategy", help="What to write.  [default: strategy]")
@click.option("--output", metavar="PATH", help="Folder to write.  [default: tlapp-NAME]")
def new_plugin(name: str, kind: str, output: str | None) -> None:
    """Write a project of your own around a plugin NAME: ready for `pip install -e .`, and it works as it is."""
    from tlapp.cli.new import write

    project = write(name, kind, output)
    click.echo(
        f"written: {project.folder}; now:\n  pip install -e {project.folder}\n  {project.try_it}\n  tlapp plugins check {name}"
    )


@plugins.command("check")
@named
@of_kind
@click.option(
    "--load", metavar="NAME", help="Backbones: which one to check, as after the colon of its ID.  [default: the first listed]"
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object to standard output, and nothing else there.")
def check_plugin(name: str, kind: str | None, load: str | None, as_json: bool) -> None:
    """Try every rule of the contract on a plugin: a line a rule."""
    from tlapp.cli.certify import certify

    click.get_current_context().exit(certify(_kind(name, kind), name, load, as_json))
