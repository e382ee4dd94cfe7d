"""Every example that was listed, and what is wrong with which: the lines of data.csv and problems.csv."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Input
from tlapp.engine.cache.columns import Digests, Shapes
from tlapp.engine.data.files import absolute
from tlapp.engine.data.labelling import Labelling
from tlapp.engine.data.reading import Bad
from tlapp.engine.data.subset import Subset, copies

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

    listed: Sequence[Listed]
    problems: tuple[Problem, ...]


EMPTY = Inventory((), ())


class _Place(NamedTuple):
    """An example in its stream."""

    split: str
    label: str
    source: str
    content: str


class _Part(NamedTuple):
    """The examples of a stream, a column each."""

    split: str
    labels: Sequence[str]
    sources: Sequence[str]
    sizes: np.ndarray
    rows: np.ndarray
    contents: Digests

    def place(self, number: int) -> _Place:
        """An example."""
        return _Place(self.split, self.labels[number], self.sources[number], self.contents[number])


class Lines(Sequence[Listed]):
    """The lines of data.csv, made when they are asked for.

    Args:
        parts: the examples.
        shapes: of the rows of the store.
        words: source -> what is wrong with it.
        copies: content -> how many other files hold it, and the number that they share; of those that several hold.
        bad: what could not be read.
        examples: their input.
    """

    def __init__(
        self, parts: Sequence[_Part], shapes: Shapes, words: Mapping[str, Sequence[str]],
        copies: Mapping[str, tuple[int, int]], bad: Sequence[Bad], examples: Input,
    ):  # fmt: skip
        self._parts, self._shapes, self._words, self._copies = parts, shapes, words, copies
        self._bad, self._examples = bad, examples

    def __len__(self) -> int:
        return sum(len(part.sources) for part in self._parts) + len(self._bad)

    def __iter__(self) -> Iterator[Listed]:
        for part in self._parts:
            shapes = self._shapes.take(part.rows) if len(self._shapes) else itertools.repeat(None)
            columns = zip(part.sources, part.labels, part.sizes, shapes, part.contents, strict=False)
            for source, label, size, shape, content in columns:
                number, group = self._copies.get(content, (0, None))
                path, problem = absolute(source, self._examples), "; ".join(self._words.get(source, ()))
                width, height = shape or (None, None)
                yield Listed(path, part.split, label, int(size), width, height, number, group, problem, content)
        for each in self._bad:
            path, problem = absolute(each.source, self._examples), f"cannot be read: {each.reason}"
            yield Listed(path, "", each.label or "", each.bytes, None, None, 0, None, problem)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [*self][number]
        return next(itertools.islice(self, range(len(self))[number], None))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Listed.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]


def inventory(
    streams: Mapping[str, Subset], bad: Sequence[Bad], shapes: Shapes, labelling: Labelling, examples: Input
) -> Inventory:
    """The inventory of these streams and of what could not be read.

    Args:
        shapes: by row of the store; empty where they are not known.
    """
    parts = [_part(split, each, labelling) for split, each in streams.items()]
    groups = _groups(parts, [each.same for each in streams.values()])
    problems = {kind: list(found(groups)) for kind, found in (("labels", _conflicts), ("leaks", _leaks), ("copies", _copies))}
    problems = {"unreadable": [Problem(each.source, f"cannot be read: {each.reason}") for each in bad], **problems}
    ranked = [problem for each in problems.values() for problem in each]
    words: dict[str, list[str]] = defaultdict(list)
    for problem in ranked:
        words[problem.source].append(problem.problem)
    numbers = {same[0].content: (len(same) - 1, number) for number, same in enumerate(groups, 1)}
    return Inventory(Lines(parts, shapes, words, numbers, bad, examples), tuple(_absolute(ranked, examples)))


def _part(split: str, subset: Subset, labelling: Labelling) -> _Part:
    labels = subset.labels
    words = {label: labelling.text(label) for label in {*labels}}
    return _Part(split, [words[label] for label in labels], subset.sources, subset.sizes, subset.rows, subset.contents)


def _groups(parts: Sequence[_Part], same: Sequence[np.ndarray]) -> list[list[_Place]]:
    """The examples that hold the same as others, together."""
    ends = np.cumsum([len(part.sources) for part in parts])

    def place(number: int) -> _Place:
        part = int(np.searchsorted(ends, number, side="right"))
        return parts[part].place(number - int(ends[part]) + len(parts[part].sources))

    return [[*map(place, group)] for group in copies(np.concatenate(same))]


def _absolute(problems: Iterable[Problem], examples: Input) -> Iterator[Problem]:
    for source, problem, other in problems:
        yield Problem(absolute(source, examples), problem, other and absolute(other, examples))


def _conflicts(copies: Iterable[Sequence[_Place]]) -> Iterator[Problem]:
    """Of examples under several labels, those that are labelled otherwise than the first."""
    for first, *others in copies:
        for other in others:
            if other.label != first.label and {first.split, other.split} <= {"train", "val", "test"}:
                words = f"the same under two labels: {other.label or 'none'}, and {first.label or 'none'} there"
                yield Problem(other.source, words, first.source)


def _leaks(copies: Iterable[Sequence[_Place]]) -> Iterator[Problem]:
    for same in copies:
        firsts: dict[str, _Place] = {}
        for place in same:
            firsts.setdefault(place.split, place)
        for one, other in LEAKS:
            if one in firsts and other in firsts:
                for place in same:
                    if place.split == other:
                        yield Problem(place.source, f"in {other}, and the same in {one}", firsts[one].source)


def _copies(copies: Iterable[Sequence[_Place]]) -> Iterator[Problem]:
    """What is in a stream a second time."""
    for same in copies:
        firsts: dict[str, _Place] = {}
        for place in same:
            first = firsts.setdefault(place.split, place)
            if first is not place:
                yield Problem(place.source, f"a copy in {place.split}", first.source)
