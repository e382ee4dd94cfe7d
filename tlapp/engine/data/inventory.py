"""Every example that was listed, and what is wrong with which: the lines of data.csv and problems.csv."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tlapp.contracts import Input
from tlapp.engine.data.files import absolute
from tlapp.engine.data.labelling import Labelling
from tlapp.engine.data.reading import Bad, Example

LEAKS = (("train", "test"), ("train", "val"), ("val", "test"))
"""Streams that should share no example: what the second shares with the first makes it look better than it is."""


class Listed(NamedTuple):
    """A line of data.csv.

    Attributes:
        split: the stream; "" for what was left out.
        bytes, width, height: of the file; None where not known.
        copies: how many other files hold the same example.
        copy_group: a number that those share; None where there are none.
        problem: what is wrong, "" for nothing.
        content: a digest of its arrays; "" where it could not be read.
    """

    source: str
    split: str
    label: str
    bytes: int | None
    width: int | None
    height: int | None
    copies: int
    copy_group: int | None
    problem: str
    content: str = ""


class Problem(NamedTuple):
    """A line of problems.csv: one problem of one file, and the other file where there is one."""

    source: str
    problem: str
    other: str = ""


class Inventory(NamedTuple):
    """What was listed, and the problems with it, the worst kind first."""

    listed: tuple[Listed, ...]
    problems: tuple[Problem, ...]


EMPTY = Inventory((), ())


class _Place(NamedTuple):
    """An example in its stream."""

    split: str
    label: str
    example: Example


def inventory(
    streams: Mapping[str, Sequence[Example]], bad: Sequence[Bad], shapes: Sequence[Sequence[int] | None],
    labelling: Labelling, examples: Input,
) -> Inventory:  # fmt: skip
    """The inventory of these streams and of what could not be read.

    Args:
        shapes: width and height by row of the store; empty where they are not known.
    """
    places = [_Place(split, labelling.text(example.item.label), example) for split, part in streams.items() for example in part]
    copies = _by_content(places)
    problems = {kind: list(found(copies)) for kind, found in (("labels", _conflicts), ("leaks", _leaks), ("copies", _copies))}
    problems = {"unreadable": [Problem(each.source, f"cannot be read: {each.reason}") for each in bad], **problems}
    ranked = [problem for each in problems.values() for problem in each]
    words: dict[str, list[str]] = defaultdict(list)
    for problem in ranked:
        words[problem.source].append(problem.problem)
    numbers = {content: number for number, content in enumerate((c for c, same in copies.items() if len(same) > 1), 1)}
    listed = [_listed(place, len(copies[place.example.content]) - 1, numbers, shapes, words, examples) for place in places]
    listed += [
        Listed(
            absolute(each.source, examples),
            "",
            each.label or "",
            each.bytes,
            None,
            None,
            0,
            None,
            f"cannot be read: {each.reason}",
        )
        for each in bad
    ]
    return Inventory(tuple(listed), tuple(_absolute(ranked, examples)))


def _listed(
    place: _Place, copies: int, numbers: Mapping[str, int], shapes: Sequence[Sequence[int] | None],
    words: Mapping[str, Sequence[str]], examples: Input,
) -> Listed:  # fmt: skip
    item, row = place.example.item, place.example.row
    width, height = (shapes[row] if row < len(shapes) else None) or (None, None)
    problem = "; ".join(words.get(item.source, ()))
    return Listed(
        absolute(item.source, examples), place.split, place.label, place.example.bytes, width, height, copies,
        numbers.get(place.example.content), problem, place.example.content,
    )  # fmt: skip


def _absolute(problems: Iterable[Problem], examples: Input) -> Iterator[Problem]:
    for source, problem, other in problems:
        yield Problem(absolute(source, examples), problem, other and absolute(other, examples))


def _by_content(places: Iterable[_Place]) -> dict[str, list[_Place]]:
    groups: dict[str, list[_Place]] = defaultdict(list)
    for place in places:
        groups[place.example.content].append(place)
    return groups


def _conflicts(copies: Mapping[str, Sequence[_Place]]) -> Iterator[Problem]:
    """Of examples under several labels, those that are labelled otherwise than the first."""
    for first, *others in copies.values():
        for other in others:
            if other.label != first.label and {first.split, other.split} <= {"train", "val", "test"}:
                words = f"the same under two labels: {other.label or 'none'}, and {first.label or 'none'} there"
                yield Problem(other.example.item.source, words, first.example.item.source)


def _leaks(copies: Mapping[str, Sequence[_Place]]) -> Iterator[Problem]:
    for same in copies.values():
        firsts: dict[str, _Place] = {}
        for place in same:
            firsts.setdefault(place.split, place)
        for one, other in LEAKS:
            if one in firsts and other in firsts:
                for place in same:
                    if place.split == other:
                        source = firsts[one].example.item.source
                        yield Problem(place.example.item.source, f"in {other}, and the same in {one}", source)


def _copies(copies: Mapping[str, Sequence[_Place]]) -> Iterator[Problem]:
    """What is in a stream a second time."""
    for same in copies.values():
        firsts: dict[str, _Place] = {}
        for place in same:
            first = firsts.setdefault(place.split, place)
            if first is not place:
                yield Problem(place.example.item.source, f"a copy in {place.split}", first.example.item.source)
