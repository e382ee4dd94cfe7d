"""Names of plugins: name -> entry point -> object, one at a time and lazily."""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tlapp.errors import PluginError, UserError
from tlapp.words import did_you_mean, in_a_line, shortened, suggestion

OWN = "tlapp"
"""The distribution whose names win."""
GROUPS = {"strategy": "tlapp.strategies", "head": "tlapp.heads", "backbone": "tlapp.backbones", "reporter": "tlapp.reporters"}
OPTIONS = {"strategy": "plugin", "head": "head", "backbone": "backbone", "reporter": "log"}
"""Kind -> the option that names a plugin of it."""
WORDS = {"strategy": "strategy", "head": "head", "backbone": "backbone provider", "reporter": "reporter"}
"""Kind -> what a plugin of it is, in words."""


@cache
def installed(kind: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Every entry point of a kind by its name, sorted; more than one where distributions clash. Imports no plugin.

    A name of tlapp's own is its own, whoever else claims it; `unused` says so.
    """
    return {name: tuple(filter(_is_own, points)) or points for name, points in _claimed(kind).items()}


def _claimed(kind: str) -> dict[str, tuple[EntryPoint, ...]]:
    names: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUPS[kind]):
        if point not in names.get(point.name, ()):
            names[point.name] = (*names.get(point.name, ()), point)
    return {name: tuple(sorted(names[name], key=origin)) for name in sorted(names)}


def _is_own(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == OWN


def unused() -> list[str]:
    """Which entry points are not used, and why: a sentence each."""
    sentences = []
    for kind in GROUPS:
        for name, points in _claimed(kind).items():
            if any(map(_is_own, points)):
                others = " and ".join(origin(point) for point in points if not _is_own(point))
                sentences += [f"{WORDS[kind]} {name} of {others} is not used: tlapp's own has this name"] if others else []
    for group in sorted(entry_points().groups):
        if group.partition(".")[0] == OWN and group not in GROUPS.values():
            others = " and ".join(sorted({origin(point) for point in entry_points(group=group)}))
            hint = did_you_mean(group, GROUPS.values()) or f"; groups are {', '.join(GROUPS.values())}"
            sentences.append(f"the entry points of group {group} of {others} are not used{hint}")
    return sentences


def origin(point: EntryPoint) -> str:
    """The distribution and version that an entry point comes from, in words."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"


def plugin_name(kind: str, name: str) -> str:
    """A plugin's kind, name, distribution and version, for the front of an error."""
    points = installed(kind).get(name, ())
    return f"{kind} {name} of {' and '.join(map(origin, points))}" if points else f"{kind} {name}"


def point(kind: str, name: str) -> EntryPoint:
    """The one entry point of a name.

    Raises:
        UserError: nothing of that name. PluginError: two distributions claim it.
    """
    points = installed(kind).get(name)
    if not points:
        raise UserError(f"no {WORDS[kind]} of that name is installed; {suggestion(name, installed(kind))}", name, OPTIONS[kind])
    if len(points) > 1:
        raise PluginError(f"{len(points)} distributions claim this name; uninstall all but one", plugin_name(kind, name))
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
        raise PluginError(f"does not import ({chosen.value}): {in_a_line(error)}", plugin_name(kind, name)) from error
    if fault := fault_of(kind, plugin):
        raise PluginError(fault, plugin_name(kind, name))
    return plugin


def fault_of(kind: str, plugin: Any) -> str:
    """What is wrong with a class as a plugin of a kind, to follow its name; "" where nothing is."""
    from tlapp import contracts
    from tlapp.contracts.version import misfit

    bases = {"strategy": contracts.Strategy, "head": contracts.Head, "backbone": contracts.BackboneProvider}
    base = {**bases, "reporter": contracts.RunReporter}[kind]
    if not (isinstance(plugin, type) and issubclass(plugin, base)):
        return f"must be a subclass of tlapp.contracts.{base.__name__}. Received: {shortened(plugin)}"
    if unfit := misfit(getattr(plugin, "contract", None)):
        return f"does not fit: {unfit}"
    if missing := sorted(getattr(plugin, "__abstractmethods__", ())):
        return f"does not define {', '.join(missing)}()"
    return ""


def backbone(identity: str, trust: bool = False) -> tuple[Any, str]:
    """The provider of a backbone's ID, made with `trust`, and the name that the backbone has there.

    Raises:
        UserError: the ID, or one of those that it joins by "+", has no colon, or nothing provides its prefix.
        PluginError: the provider is broken, or `trust` is set and it does not take it.
    """
    from tlapp.backbones.joined import Joined, Part, parts_of

    if len(ids := parts_of(identity)) > 1:
        parts = [Part(*backbone(each, trust)) for each in ids]
        return Joined(parts, [each.partition(":")[0] for each in ids]), identity.partition(":")[2]
    prefix, colon, name = identity.partition(":")
    if not colon or not name:
        raise UserError("must be PROVIDER:NAME, such as keras-cv:efficientnet-lite0", identity, "backbone")
    provider = load("backbone", prefix)
    if trust and not _takes_trust(provider):
        raise PluginError("its __init__() has no parameter trust, which option trust needs", plugin_name("backbone", prefix))
    try:
        return (provider(trust=True) if trust else provider()), name
    except Exception as error:  # a stranger's code may raise anything
        raise PluginError(f"cannot be made without arguments: {in_a_line(error)}", plugin_name("backbone", prefix)) from error


def _takes_trust(provider: type) -> bool:
    parameters = inspect.signature(provider).parameters
    return "trust" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
