"""The phases of a plan in the order in which they are carried out."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import NamedTuple

from tlapp.contracts import OneOf, Phase, Plan
from tlapp.engine.training.kinds import kind_of


class Place(NamedTuple):
    """A phase, and the number of the first of the alternatives that it is one of; None where it is none."""

    phase: Phase
    group: int | None = None


def in_order(plan: Plan) -> tuple[Place, ...]:
    """Every phase, alternatives one after the other, each selected as they all are."""
    places: list[Place] = []
    for entry in _grouped(plan):
        if isinstance(entry, OneOf):
            group = len(places)
            places += [Place(replace(phase, select=entry.select, alternative=False), group) for phase in entry.phases]
        else:
            places.append(Place(entry))
    return tuple(places)


def _grouped(plan: Plan) -> list[Phase | OneOf]:
    """The plan's entries; neighbours that say `alternative`, as contract 1.1 had it, as a `OneOf`."""
    entries: list[Phase | OneOf] = []
    for alternative, run in itertools.groupby(plan.phases, lambda entry: getattr(entry, "alternative", False)):
        members = list(run)
        entries += [OneOf(phases=tuple(members), select=members[0].select)] if alternative else members  # type: ignore[union-attr, arg-type]
    return entries


def solves_only(plan: Plan) -> bool:
    """Whether no phase trains the head that was chosen."""
    return all(not kind_of(place.phase).in_place for place in in_order(plan))
