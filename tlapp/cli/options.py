"""Fields of pydantic options as click options: the only place that knows both."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from tlapp import registry
from tlapp.contracts.options import Options
from tlapp.settings import flag


def click_options(options: type[Options], prefix: str = "") -> list[click.Option]:
    """An option a field. Values stay text: pydantic parses and checks them, so that YAML and flags fail alike."""
    return [_option(prefix + name, field) for name, field in options.model_fields.items()]


def _option(key: str, field: FieldInfo) -> click.Option:
    help = f"{field.description or ''}{_range(field)}"
    if field.default is not None:
        help += f"  [default: {show(field.default)}]"
    kind = {"plugin": "strategy", "head": "head", "backbone": "backbones"}.get(key)
    return click.Option(
        [flag(key), key], help=help, metavar=metavar(field), shell_complete=_names(kind) if kind else _choices(field)
    )


def show(value: Any) -> str:
    """A default as one would type it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def plain(annotation: Any) -> Any:
    """The annotation without its None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def metavar(field: FieldInfo) -> str:
    """What to type: the choices, or the type."""
    kind = plain(field.annotation)
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if get_origin(kind) is tuple:
        return "N,..."
    return {int: "N", float: "X", bool: "true|false"}.get(kind, "TEXT")


def _range(field: FieldInfo) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [f"{sign} {getattr(item, name)}" for item in field.metadata for name, sign in signs.items() if hasattr(item, name)]
    return f" ({', '.join(bounds)})" if bounds else ""


def _choices(field: FieldInfo) -> Any:
    kind = plain(field.annotation)
    values: Iterable[Any] = get_args(kind) if get_origin(kind) is Literal else ()
    return lambda context, option, typed: [str(value) for value in values if str(value).startswith(typed)]


def _names(kind: str) -> Any:
    end = ":" if kind == "backbones" else ""
    return lambda context, option, typed: [name + end for name in registry.found(kind) if name.startswith(typed)]
