"""What is odd about a data set though it can be trained on: one sentence each, for the user."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tlapp.contracts import Input
from tlapp.engine.data.classes import SEPARATOR
from tlapp.engine.data.inventory import LEAKS
from tlapp.engine.data.labelling import Labelling
from tlapp.engine.data.reading import Bad, Example, in_words
from tlapp.engine.data.splits import SMALLEST
from tlapp.words import a_few

IMBALANCE = 3.0
_Streams = Mapping[str, Sequence[Example]]


def of(streams: _Streams, classes: Sequence[str], bad: list[Bad], labelling: Labelling, examples: Input) -> Iterator[str]:
    """Sentences on streams train, val and test of `classes`, and on what was left out."""
    noun = examples.noun
    if bad:
        yield f"left out: {in_words(bad, examples)}"
    yield from _imbalance(streams["train"], classes, labelling)
    yield from _missing(streams, classes, labelling, noun)
    yield from _copies(streams, examples)
    yield from _leaks(streams, examples)
    yield from _conflicts(streams, labelling, examples)
    if several := [name for name in classes if SEPARATOR in name and labelling.kind == "one"]:
        yield f"classes such as {several[0]} are one class each; with option head=multilabel the {SEPARATOR} separates labels"


def _imbalance(train: Sequence[Example], classes: Sequence[str], labelling: Labelling) -> Iterator[str]:
    counts = Counter(name for example in train for name in labelling.names(example.item.label))
    ranked = sorted(classes, key=lambda name: -counts[name])
    most, least = counts[ranked[0]], counts[ranked[-1]]
    if most > IMBALANCE * least:
        shown = ranked if len(ranked) <= 6 else [*ranked[:3], *ranked[-3:]]
        numbers = ", ".join(f"{name} {counts[name]}" for name in shown)
        some = " (the largest and the smallest)" if len(shown) < len(ranked) else ""
        yield f"classes differ {most / least:.1f} to 1 in train: {numbers}{some}"


def _missing(streams: _Streams, classes: Sequence[str], labelling: Labelling, noun: str) -> Iterator[str]:
    for name in ("val", "test"):
        met = {label for example in streams[name] for label in labelling.names(example.item.label)}
        absent = [label for label in classes if label not in met]
        if absent:
            needed = f"a class needs {SMALLEST} {noun}s to be split"
            yield f"{name} has no {noun} of {a_few(absent)}, so its metrics say nothing about them ({needed})"


def _copies(streams: _Streams, kind: Input) -> Iterator[str]:
    for name, examples in streams.items():
        paths = _by_content(examples)
        groups = [same for same in paths.values() if len(same) > 1]
        if groups:
            count = sum(len(same) - 1 for same in groups)
            copies = f"{count} copies" if count > 1 else "a copy"
            one, other = map(kind.title, groups[0][:2])
            yield f"{name} holds {copies} of other {kind.noun}s in it, such as {one} and {other}"


def _leaks(streams: _Streams, kind: Input) -> Iterator[str]:
    for one, other in LEAKS:
        first, second = _by_content(streams[one]), _by_content(streams[other])
        shared = [content for content in second if content in first]
        if shared:
            pair = " and ".join(kind.title(side[shared[0]][0]) for side in (first, second))
            yield f"the same {kind.noun} in {one} and {other}, {len(shared)} in all, so {other} looks better than it is: {pair}"


def _conflicts(streams: _Streams, labelling: Labelling, kind: Input) -> Iterator[str]:
    labels: dict[str, dict[str, str]] = defaultdict(dict)
    for examples in streams.values():
        for example in examples:
            labels[example.content].setdefault(labelling.text(example.item.label), example.item.source)
    torn = [paths for paths in labels.values() if len(paths) > 1]
    if torn:
        (one, path), (other, copy) = list(torn[0].items())[:2]
        first, second = f"{kind.title(path)} ({one})", f"{kind.title(copy)} ({other})"
        yield f"the same {kind.noun} under two labels, {len(torn)} in all: {first} and {second}"


def _by_content(examples: Sequence[Example]) -> dict[str, list[str]]:
    sources: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        sources[example.content].append(example.item.source)
    return sources
