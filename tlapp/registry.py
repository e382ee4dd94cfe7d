"""Names of plugins: name -> entry point -> object, one at a time and lazily."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tlapp.errors import PluginError, UserError

GROUPS = {"strategy": "tlapp.strategies", "head": "tlapp.heads", "backbones": "tlapp.backbones"}
FLAGS = {"strategy": "--plugin", "head": "--head", "backbones": "--backbone"}


@cache
def found(kind: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Every entry point of a kind by its name, sorted; more than one where distributions clash. Imports no plugin."""
    names: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUPS[kind]):
        if point not in names.get(point.name, ()):
            names[point.name] = (*names.get(point.name, ()), point)
    return dict(sorted(names.items()))


def origin(point: EntryPoint) -> str:
    """The distribution and version that an entry point comes from, in words."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"


def load(kind: str, name: str) -> Any:
    """The object registered under a name.

    Raises:
        UserError: nothing of that name.
        PluginError: two distributions claim it, or importing it fails.
    """
    points = found(kind).get(name)
    if not points:
        near = difflib.get_close_matches(name, found(kind), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(found(kind))}"
        raise UserError(f"{FLAGS[kind]} {name}: no {kind} of that name is installed; {hint}")
    if len(points) > 1:
        claims = " and ".join(origin(point) for point in points)
        raise PluginError(f"{kind} {name} is claimed by {claims}; uninstall one of them")
    try:
        return points[0].load()
    except Exception as error:  # a stranger's module may raise anything; its name and distribution are what helps
        raise PluginError(
            f"{kind} {name} of {origin(points[0])} does not import ({points[0].value}): {type(error).__name__}: {error}"
        ) from error


def backbone(identity: str) -> tuple[Any, str]:
    """The provider of a backbone's ID, and the name that it goes by there.

    Raises:
        UserError: the ID has no colon, or nothing provides its prefix.
    """
    prefix, colon, name = identity.partition(":")
    if not colon or not name:
        raise UserError(f"--backbone {identity}: must be SOURCE:NAME, such as keras-cv:efficientnet-lite0. Received: {identity}")
    return load("backbones", prefix)(), name
