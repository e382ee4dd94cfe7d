"""tlapp plugins."""

from __future__ import annotations

import json
from typing import Any

import click

from tlapp import registry
from tlapp.cli.completion import PATH, complete_backbones, complete_folders, complete_plugins
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.plugin_facts import facts, help_of, option_lines, plan
from tlapp.cli.usage import Group
from tlapp.errors import PluginError, UserError
from tlapp.words import suggestion

MARKS = {"kept": "ok", "broken": "BROKEN", "not tried": "not tried"}


class Kind(click.Choice):
    """The kinds of plugins; "backbones" is the old word for backbone."""

    def __init__(self) -> None:
        super().__init__(list(registry.GROUPS))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert("backbone" if value == "backbones" else value, param, ctx)


name_argument = click.argument("name", shell_complete=complete_plugins(*registry.GROUPS))
kind_option = click.option("--kind", type=Kind(), help="Which one, where plugins of two kinds share the name.")


@click.group(cls=Group)
def plugins() -> None:
    """List, show, check or create strategies, heads, backbone providers and reporters."""


@plugins.command("list")
@click.option("--check", is_flag=True, help="Import each one to see whether it works; without it, none of their code runs.")
@json_option
def list_plugins(check: bool, as_json: bool) -> None:
    """List every strategy, head, backbone provider and reporter with its distribution, and say which are broken and why."""
    rows = [_row(kind, name, check) for kind in registry.GROUPS for name in registry.installed(kind)]
    unused = registry.unused()
    if as_json:
        click.echo(json.dumps({"plugins": rows, "unused": unused}))
        return
    widths = {key: max(len(row[key]) for row in rows) for key in ("kind", "name", "from")} if rows else {}
    for row in rows:
        columns = "  ".join(f"{row[key]:{width}}" for key, width in widths.items())
        click.echo(f"{columns}  {'BROKEN: ' + row['broken'] if row['broken'] else row['help']}")
    for sentence in unused:
        click.echo(f"note: {sentence}")


def _row(kind: str, name: str, check: bool) -> dict[str, str]:
    from tlapp.plugin_source import summary

    points = registry.installed(kind)[name]
    help, fault = summary(points[0])
    if check or len(points) > 1:
        fault = _fault(kind, name, check)
    return {"kind": kind, "name": name, "from": " and ".join(map(registry.origin, points)), "help": help, "broken": fault}


def _fault(kind: str, name: str, check: bool) -> str:
    """What `tlapp train` would say of a plugin without options, without its name; it is imported only for a check."""
    from tlapp.settings import plugin_options

    try:
        registry.point(kind, name)
        if check and kind == "backbone":
            registry.backbone(f"{name}:any")
        elif check:
            plugin_options(kind, name)
    except PluginError as error:
        return error.message
    return ""


@plugins.command("show")
@name_argument
@kind_option
@click.option(
    "--backbone",
    metavar="ID",
    shell_complete=complete_backbones,
    help="Plan for this one, which is loaded.  [default: keras-cv:efficientnet-lite0, from a table]",
)
@trust_option
@json_option
def show_plugin(name: str, kind: str | None, backbone: str | None, trust: bool, as_json: bool) -> None:
    """Show the options of a plugin, and the plan that a strategy makes for a backbone."""
    if trust and not backbone:
        raise UserError("counts only with option backbone", option="trust")
    kind = _kind(name, kind)
    if as_json:
        click.echo(json.dumps(facts(kind, name, backbone, trust)))
        return
    if kind == "backbone":
        provider = registry.load(kind, name)
        click.echo(f"{registry.plugin_name(kind, name)}: {help_of(provider)}\n\n  IDs: tlapp backbones list")
        return
    from tlapp.settings import plugin_options

    options = plugin_options(kind, name)
    click.echo(f"{registry.plugin_name(kind, name)}, written for contract {options.contract}\n\n{help_of(options)}\n")
    for line in option_lines(options, kind):
        click.echo(line)
    if kind == "strategy":
        click.echo()
        for line in plan(name, options, backbone, trust):
            click.echo(line)


def _kind(name: str, kind: str | None) -> str:
    """The kind that was asked for, or the one kind that has a plugin of this name."""
    if kind is not None:
        registry.point(kind, name)
        return kind
    kinds = [kind for kind in registry.GROUPS if name in registry.installed(kind)]
    if len(kinds) > 1:
        raise UserError(f"{name}: is the name of a {' and of a '.join(kinds)}; give --kind")
    if kinds:
        return kinds[0]
    every = [name for kind in registry.GROUPS for name in registry.installed(kind)]
    raise UserError(f"{name}: no plugin of that name is installed; {suggestion(name, every)}")


@plugins.command("new")
@click.argument("name")
@click.option("--kind", type=Kind(), default="strategy", help="What to write.  [default: strategy]")
@click.option(
    "--output", metavar="PATH", type=PATH, shell_complete=complete_folders, help="Folder to write.  [default: tlapp-NAME]"
)
def new_plugin(name: str, kind: str, output: str | None) -> None:
    """Create a project for a new plugin NAME, which works as it is and is installed with `pip install -e .`."""
    from tlapp.cli.new import write

    project = write(name, kind, output)
    click.echo(
        f"written: {project.folder}; now:\n  pip install -e {project.folder}\n  {project.try_it}\n  tlapp plugins check {name}"
    )


@plugins.command("check")
@name_argument
@kind_option
@click.option(
    "--load", metavar="NAME", help="The backbone to check a provider with, as after the colon of its ID.  [default: its first]"
)
@click.option(
    "--set", "options", metavar="KEY=VALUE", multiple=True, help="An option to check it with, such as last=1; may be repeated."
)
@json_option
def check_plugin(name: str, kind: str | None, load: str | None, options: tuple[str, ...], as_json: bool) -> None:
    """Check a plugin against every rule of the contract, a line for each rule."""
    from tlapp.testing import examine

    kind = _kind(name, kind)
    plugin = _under_test(kind, name, load, options)
    plugin_name, verdicts = registry.plugin_name(kind, name), []
    click.echo(plugin_name, err=as_json)
    for verdict in examine(kind, plugin, load):
        verdicts.append(verdict)
        why = f": {verdict.seen}" if verdict.seen else ""
        line = f"  {MARKS[verdict.state]:9}  {verdict.rule:12}  {verdict.seconds:5.1f} s  {verdict.text}{why}"
        click.echo(line, err=as_json)
    broken = [verdict for verdict in verdicts if verdict.state == "broken"]
    if as_json:
        click.echo(json.dumps({"plugin": plugin_name, "rules": [verdict._asdict() for verdict in verdicts], "kept": not broken}))
    for verdict in broken:
        click.echo(f"tlapp: {verdict.sentence(plugin_name)}", err=True)
    click.get_current_context().exit(PluginError.exit_code if broken else 0)


def _under_test(kind: str, name: str, load: str | None, options: tuple[str, ...]) -> Any:
    """The class, object with options or provider whose rules are tried.

    Raises:
        UserError: --load with another kind than a provider, or a provider that lists nothing, or a wrong option.
        PluginError: it cannot be had.
    """
    from tlapp.blame import guarded
    from tlapp.settings import plugin_options
    from tlapp.tensorflow_import import quiet_tensorflow

    if load is not None and kind != "backbone":
        raise UserError(f"only a backbone provider has backbones to load; {name} is a {kind}", load, "load")
    if options and kind == "reporter":
        raise UserError(f"a reporter has no options; {name} is one", options[0], "set")
    if kind != "backbone":
        return _with_options(kind, name, options) if options else plugin_options(kind, name)
    if options:
        raise UserError(f"a backbone provider has no options; {name} is one", options[0], "set")
    quiet_tensorflow()
    provider, _ = registry.backbone(f"{name}:{load or 'any'}")
    if load is None and not [*guarded(registry.plugin_name(kind, name), "names()", provider.names)()]:
        raise UserError(f"{name}: lists no backbone to try; give one with --load, as after the colon of its ID")
    return provider


def _with_options(kind: str, name: str, options: tuple[str, ...]) -> Any:
    """A strategy or head with options given as KEY=VALUE.

    Raises:
        UserError: it has no such option, or not of that value.
    """
    from tlapp.settings import HEAD, plugin_options, resolve

    known, prefix = plugin_options(kind, name).model_fields, HEAD if kind == "head" else ""
    chosen: dict[str, str] = {}
    for given in options:
        key, equals, value = given.partition("=")
        key = key.replace("-", "_")
        if not equals:
            raise UserError("must be KEY=VALUE, such as last=1", given, "set")
        if key not in known:
            raise UserError(f"{kind} {name} has no option {key}; {suggestion(key, known)}", given, "set")
        chosen[prefix + key] = value
    settings = resolve({"plugin" if kind == "strategy" else "head": name, **chosen})
    return settings.strategy if kind == "strategy" else settings.head
