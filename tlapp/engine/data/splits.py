"""Which picture trains, validates or tests: stratified, seeded, and moving few when pictures are added."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tlapp.engine.data.labelling import ONE, Labelling
from tlapp.engine.data.subset import copies
from tlapp.engine.data.tables import Item

SMALLEST = 3
"""Units (pictures, or groups of them) that a class needs to be split; a smaller one only trains."""


class Unit(NamedTuple):
    """Items that stay together: one picture, a group, or copies of each other. Its class is that of most of them."""

    members: list[int]
    label: str
    order: bytes


def assign(
    items: Sequence[Item], same: Sequence[Hashable] | np.ndarray, shares: Mapping[str, float], seed: int,
    labelling: Labelling = ONE,
) -> list[str]:  # fmt: skip
    """The split of each item: "train", or a key of `shares`, which tell what part of each class goes to "val" and "test".

    A class here is a stratum of the labelling's. Within it, units are ordered by a hash of the seed and their name. The test
    takes the first of them and validation the last, so pictures added later move only those at the two bounds. Items with an
    equal `same`, or of one group, stay together.
    """
    splits = ["train"] * len(items)
    for units in _by_class(items, same, seed, labelling.strata([item.label for item in items])):
        units.sort(key=lambda unit: unit.order)
        if len(units) >= SMALLEST:
            for split, members in _divide(units, shares).items():
                for member in members:
                    splits[member] = split
        units.clear()  # before the next class is made
    return splits


def _divide(units: list[Unit], shares: Mapping[str, float]) -> dict[str, list[int]]:
    total, members = sum(len(unit.members) for unit in units), {}
    for place, split in enumerate(sorted(shares)):  # test before val, whichever are asked for
        order = units if split == "test" else units[::-1]
        left_for_others = len(shares) - place
        chosen = _pick(order, shares[split] * total, len(units) - left_for_others)
        members[split] = [member for unit in chosen for member in unit.members]
        gone = {id(unit) for unit in chosen}
        units = [unit for unit in units if id(unit) not in gone]
    return members


def _pick(units: list[Unit], wanted: float, most: int) -> list[Unit]:
    """The first units that come nearest to `wanted` items, at least one and at most `most`; a unit too large is passed over."""
    chosen: list[Unit] = []
    taken = 0
    for unit in units:
        if len(chosen) < most and taken + len(unit.members) / 2 <= wanted:
            chosen.append(unit)
            taken += len(unit.members)
    return chosen or [min(units, key=lambda unit: len(unit.members))]


def _by_class(
    items: Sequence[Item], same: Sequence[Hashable] | np.ndarray, seed: int, strata: Sequence[str]
) -> Iterator[list[Unit]]:
    """The units of each class, by their first members; those of one class at a time, as a million take much memory."""
    groups = copies(_numbered(_roots(items, same)))
    together: dict[str, list[Unit]] = defaultdict(list)
    alone = np.ones(len(items), bool)
    for members in groups:
        unit = _unit([items[i] for i in members], members, seed, [strata[i] for i in members])
        together[unit.label].append(unit)
        alone[members] = False
    numbers, places = _numbered(strata), np.flatnonzero(alone)
    places = places[np.argsort(numbers[places], kind="stable")]
    sorted_numbers = numbers[places]
    for number, label in enumerate(dict.fromkeys(strata)):
        begin, end = np.searchsorted(sorted_numbers, [number, number + 1])
        singles = (_unit([items[i]], [i], seed, [label]) for i in places[begin:end].tolist())
        yield sorted([*together[label], *singles], key=lambda unit: unit.members[0])


def _unit(inside: list[Item], members: list[int], seed: int, strata: list[str]) -> Unit:
    labels = Counter(strata)
    name = min(item.group or f"{item.label}/{item.title}" for item in inside)
    order = hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()
    return Unit(members, min(labels, key=lambda label: (-labels[label], label)), order)


def _numbered(roots: Sequence[Hashable] | np.ndarray) -> np.ndarray:
    """Small numbers in the place of any values: equal ones where these are equal."""
    if isinstance(roots, np.ndarray):
        return roots
    numbers: dict[Hashable, int] = {}
    return np.fromiter((numbers.setdefault(root, len(numbers)) for root in roots), np.int64, len(roots))


def _roots(items: Sequence[Item], same: Sequence[Hashable] | np.ndarray) -> Sequence[Hashable] | np.ndarray:
    """For each item, a value that is equal for those linked by a group or by `same`, over however many links."""
    if all(item.group is None for item in items):
        return same
    parent: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        while (above := parent.setdefault(node, node)) != node:
            parent[node] = parent[above]
            node = above
        return node

    for item, picture in zip(items, same, strict=True):
        if item.group is not None:
            parent[root(("group", item.group))] = root(("same", picture))
    return [root(("same", picture)) for picture in same]
