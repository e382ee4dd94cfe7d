"""Fields of pydantic options as click options: the only place that knows both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from tlapp.cli.completion import complete_backbones, complete_files, complete_folders, complete_plugins
from tlapp.contracts.options import Options, condition_of, defaults_by_input, is_path, plain
from tlapp.errors import UserError
from tlapp.settings import LATER
from tlapp.words import flag, with_flags

trust_option = click.option(
    "--trust", is_flag=True,
    help="Open model files even if they hold code, which can then do anything that you can do: read, change and send files.",
)  # fmt: skip
"""Of every command that opens model files; no setting, so that no YAML file can give it."""
task_option = click.option("--task", metavar="NAME", help="Which of its runs is to answer, of a file that `tlapp merge` wrote.")


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object to standard output, and nothing else there."
)

on_option = click.option(
    "--on", metavar="ray[:ADDRESS]", default="", help="Where trials run: on a Ray cluster, or one of all cores of this machine."
)


def settings_of(words: Sequence[str]) -> dict[str, str]:
    """Settings as KEY=VALUE.

    Raises:
        UserError: one is something else.
    """
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise UserError("expected KEY=VALUE, such as image_size=96", word, option="set")
        found[key.replace("-", "_")] = value
    return found


def click_options(options: type[Options], prefix: str = "") -> list[click.Option]:
    """An option a field. Values stay text: pydantic parses and checks them, so that YAML and flags fail alike."""
    return [_option(name, field, prefix) for name, field in options.model_fields.items()]


def _option(name: str, field: FieldInfo, prefix: str) -> click.Option:
    key = prefix + name
    own = {
        "plugin": complete_plugins("strategy"), "head": complete_plugins("head"), "backbone": complete_backbones,
        "run": complete_folders,
    }  # fmt: skip
    complete = own.get(key) or (complete_files if is_path(field) else _values(field))
    alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if plain(field.annotation) is bool else {}
    typed = metavar(field, key)
    return click.Option([flag(key), key], help=describe(field, prefix), metavar=typed, shell_complete=complete, **alone)


def describe(field: FieldInfo, prefix: str = "") -> str:
    """The help of a field with its range, when it counts, and its default; `prefix` as before its name."""
    text = f"{with_flags(field.description or '')}{_range(field)}{_counts(field, prefix)}"
    if field.is_required():
        return f"{text}  [required]"
    default = field.get_default(call_default_factory=True)
    others = "".join(f"; {kind}: {show(value)}" for kind, value in defaults_by_input(field).items())
    return text if default is None else f"{text}  [default: {show(default)}{others}]"


def show(value: Any) -> str:
    """A default as one would type it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def metavar(field: FieldInfo, key: str) -> str:
    """What to type: the choices, or the type."""
    if key in LATER:
        return "X|auto"
    kind = plain(field.annotation)
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if get_origin(kind) is tuple:
        return "N,..."
    return {int: "N", float: "X", bool: "[true|false]"}.get(kind, "TEXT")


def _range(field: FieldInfo) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [f"{sign} {getattr(item, name)}" for item in field.metadata for name, sign in signs.items() if hasattr(item, name)]
    return f" ({', '.join(bounds)})" if bounds else ""


def _counts(field: FieldInfo, prefix: str) -> str:
    condition = condition_of(field)
    return f" (counts when {with_flags(condition.words(prefix))})" if condition else ""


def _values(field: FieldInfo) -> Any:
    """Completes a value by its choices."""
    kind = plain(field.annotation)
    choices = ("true", "false") if kind is bool else tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()

    def complete(context: click.Context, option: click.Parameter, typed: str) -> list[Any]:
        return [value for value in choices if value.startswith(typed)]

    return complete
