"""Names of plugins: name -> entry point -> object, one at a time and lazily."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tlapp.errors import PluginError, UserError
from tlapp.words import in_a_line, shortened, suggestion

GROUPS = {"strategy": "tlapp.strategies", "head": "tlapp.heads", "backbones": "tlapp.backbones"}
OPTIONS = {"strategy": "plugin", "head": "head", "backbones": "backbone"}
"""Kind -> the option that names a plugin of it."""


@cache
def found(kind: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Every entry point of a kind by its name, sorted; more than one where distributions clash. Imports no plugin."""
    names: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUPS[kind]):
        if point not in names.get(point.name, ()):
            names[point.name] = (*names.get(point.name, ()), point)
    return {name: tuple(sorted(names[name], key=origin)) for name in sorted(names)}


def origin(point: EntryPoint) -> str:
    """The distribution and version that an entry point comes from, in words."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"


def label(kind: str, name: str) -> str:
    """A plugin's kind, name, distribution and version, for the front of an error."""
    points = found(kind).get(name, ())
    return f"{kind} {name} of {' and '.join(map(origin, points))}" if points else f"{kind} {name}"


def point(kind: str, name: str) -> EntryPoint:
    """The one entry point of a name.

    Raises:
        UserError: nothing of that name. PluginError: two distributions claim it.
    """
    points = found(kind).get(name)
    if not points:
        raise UserError(f"no {kind} of that name is installed; {suggestion(name, found(kind))}", name, OPTIONS[kind])
    if len(points) > 1:
        claims = " and ".join(origin(point) for point in points)
        raise PluginError(f"{kind} {name} is claimed by {claims}; uninstall one of them")
    return points[0]


def load(kind: str, name: str) -> Any:
    """The class registered under a name, checked as far as that needs no call.

    Raises:
        UserError: nothing of that name.
        PluginError: two distributions claim it, importing it fails, it is no class of the contract's, it lacks a method, or it
            was written for another version of the contract.
    """
    chosen = point(kind, name)
    try:
        plugin = chosen.load()
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything; its name and distribution are what helps
        raise PluginError(f"{label(kind, name)} does not import ({chosen.value}): {in_a_line(error)}") from error
    if fault := fault_of(kind, plugin):
        raise PluginError(f"{label(kind, name)} {fault}")
    return plugin


def fault_of(kind: str, plugin: Any) -> str:
    """What is wrong with a class as a plugin of a kind, to follow its name; "" where nothing is."""
    from tlapp import contracts
    from tlapp.contracts.version import misfit

    base = {"strategy": contracts.Strategy, "head": contracts.Head, "backbones": contracts.BackboneProvider}[kind]
    if not (isinstance(plugin, type) and issubclass(plugin, base)):
        return f"must be a subclass of tlapp.contracts.{base.__name__}. Received: {shortened(plugin)}"
    if unfit := misfit(getattr(plugin, "contract", None)):
        return f"does not fit: {unfit}"
    if missing := sorted(getattr(plugin, "__abstractmethods__", ())):
        return f"does not define {', '.join(missing)}()"
    return ""


def backbone(identity: str) -> tuple[Any, str]:
    """The provider of a backbone's ID, and the name that it goes by there.

    Raises:
        UserError: the ID has no colon, or nothing provides its prefix.
        PluginError: the provider is broken.
    """
    prefix, colon, name = identity.partition(":")
    if not colon or not name:
        raise UserError("must be PROVIDER:NAME, such as keras-cv:efficientnet-lite0", identity, "backbone")
    provider = load("backbones", prefix)
    try:
        return provider(), name
    except Exception as error:  # a stranger's code may raise anything
        raise PluginError(f"{label('backbones', prefix)} cannot be made without arguments: {in_a_line(error)}") from error
