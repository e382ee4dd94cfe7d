"""What `tlapp plugins show` says of a plugin: its options, and the plan that a strategy makes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from pydantic_core import to_jsonable_python as jsonable

from tlapp import registry
from tlapp.contracts import Task
from tlapp.errors import TlappError
from tlapp.words import flag

COUNTS = {"train": 650, "val": 150, "test": 200, "target": 1000, "aux": 1000, "support": 50, "query": 50}
TASK = Task(tuple("abcdefghij"), COUNTS, tuple("uvw"), support_classes=tuple("klmno"))
"""To show a plan for: ten classes of a hundred examples, and every stream that a strategy may ask for."""


def facts(kind: str, name: str, backbone: str | None, trust: bool) -> dict[str, Any]:
    """What `plugins show` says of a plugin, as JSON can hold it."""
    from tlapp.settings import plugin_options

    about: dict[str, Any] = {"kind": kind, "name": name, "from": registry.origin(registry.point(kind, name))}
    if kind == "backbone":
        provider = registry.load(kind, name)
        return {**about, "contract": provider.contract, "help": help_of(provider)}
    options = plugin_options(kind, name)
    about |= {"contract": options.contract, "help": help_of(options), "options": [*_options(options, kind)]}
    return {**about, "plan": [*plan(name, options, backbone, trust)]} if kind == "strategy" else about


def _options(options: Any, kind: str) -> Iterator[dict[str, Any]]:
    """The options of a plugin: the flag, what to type, the help and the default; None where there is none."""
    from tlapp.cli.options import describe, metavar
    from tlapp.settings import HEAD

    prefix = HEAD if kind == "head" else ""
    for key, field in options.model_fields.items():
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        about = {"flag": flag(prefix + key), "type": metavar(field, prefix + key), "help": describe(field, prefix)}
        yield {**about, "required": field.is_required(), "default": jsonable(default)}


def option_lines(options: Any, kind: str) -> Iterator[str]:
    """A line an option: flag, what to type, range, help and default."""
    from tlapp.cli.options import describe, metavar
    from tlapp.settings import HEAD

    prefix = HEAD if kind == "head" else ""
    for key, field in options.model_fields.items():
        yield f"  {flag(prefix + key):18} {metavar(field, prefix + key):12} {describe(field, prefix)}"
    if not options.model_fields:
        yield "  no options"


def plan(name: str, options: Any, backbone: str | None, trust: bool) -> Iterator[str]:
    """The lines of the plan that a strategy makes with its default options."""
    from tlapp import blame
    from tlapp.engine.check import make_plan
    from tlapp.engine.outline import plan_lines

    plugin_name = registry.plugin_name("strategy", name)
    facts = _load(backbone, trust) if backbone else _default_facts()
    try:
        with blame.naming(plugin_name):
            plan = make_plan(blame.strategy(options(), plugin_name), TASK, facts)
    except (TlappError, ValueError) as error:  # pydantic's is a ValueError: an option without a default
        yield f"no plan with the default options: {' '.join(str(error).split())}"
        return
    yield from plan_lines(plan, facts)


def _default_facts() -> Any:
    """The facts of the default backbone, which need no Keras."""
    from tlapp.api import provider_of
    from tlapp.engine.options import RunOptions

    provider, name = provider_of(RunOptions.model_fields["backbone"].default)
    return provider.facts(name)


def _load(identity: str, trust: bool) -> Any:
    """The facts of a backbone, which is loaded."""
    from tlapp.api import provider_of
    from tlapp.tensorflow_import import quiet_tensorflow

    provider, name = provider_of(identity, trust)
    quiet_tensorflow()
    return provider.load(name).facts


def help_of(plugin: Any) -> str:
    """The docstring of a plugin."""
    return inspect.getdoc(plugin) or "(no help)"
