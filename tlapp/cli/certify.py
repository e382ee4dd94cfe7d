"""What `tlapp plugins check` shows: a line a rule."""

from __future__ import annotations

import json
from typing import Any

import click

from tlapp import registry
from tlapp.errors import UserError
from tlapp.tensorflow_import import quiet_tensorflow


def certify(kind: str, name: str, load: str | None, as_json: bool) -> int:
    """Try every rule on an installed plugin; the exit code: 0, or 3 where it breaks one.

    Raises:
        UserError: --load for what is no source of backbones. PluginError: the plugin cannot be had at all.
    """
    from tlapp.settings import plugin_options
    from tlapp.testing import examine

    if load is not None and kind != "backbones":
        raise UserError(f"only a provider of backbones has backbones to load; {name} is a {kind}", load, "load")
    if kind == "backbones":
        quiet_tensorflow()
    plugin: Any = registry.backbone(f"{name}:{load}")[0] if kind == "backbones" else plugin_options(kind, name)
    if kind == "backbones" and load is None and not [*plugin.names()]:
        raise UserError(f"{name}: lists no backbone to try; give one with --load, as after the colon of its ID")
    label, verdicts = registry.label(kind, name), []
    click.echo(label, err=as_json)
    for verdict in examine(kind, plugin, load):
        verdicts.append(verdict)
        mark = {"kept": "ok", "broken": "BROKEN", "not tried": "not tried"}[verdict.state]
        why = f": {verdict.seen}" if verdict.seen else ""
        click.echo(f"  {mark:9}  {verdict.rule:12}  {verdict.seconds:5.1f} s  {verdict.text}{why}", err=as_json)
    broken = [verdict for verdict in verdicts if verdict.state == "broken"]
    if as_json:
        click.echo(json.dumps({"plugin": label, "rules": [verdict._asdict() for verdict in verdicts], "kept": not broken}))
    for verdict in broken:
        click.echo(f"tlapp: {verdict.sentence(label)}", err=True)
    return 3 if broken else 0
