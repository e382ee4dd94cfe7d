"""What is odd about a data set though it can be trained on: one sentence each, for the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add

import numpy as np

from tlapp.contracts import Input
from tlapp.engine.data.classes import SEPARATOR
from tlapp.engine.data.inventory import LEAKS
from tlapp.engine.data.labelling import Labelling
from tlapp.engine.data.reading import Bad, in_words
from tlapp.engine.data.splits import SMALLEST
from tlapp.engine.data.subset import Subset, copies
from tlapp.words import a_few

IMBALANCE = 3.0
_Streams = Mapping[str, Subset]


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


def _imbalance(train: Subset, classes: Sequence[str], labelling: Labelling) -> Iterator[str]:
    counts = Counter[str]()
    for label, count in Counter(train.labels).items():
        counts.update(dict.fromkeys(labelling.names(label), count))
    ranked = sorted(classes, key=lambda name: -counts[name])
    most, least = counts[ranked[0]], counts[ranked[-1]]
    if most > IMBALANCE * least:
        shown = ranked if len(ranked) <= 6 else [*ranked[:3], *ranked[-3:]]
        numbers = ", ".join(f"{name} {counts[name]}" for name in shown)
        some = " (the largest and the smallest)" if len(shown) < len(ranked) else ""
        yield f"classes differ {most / least:.1f} to 1 in train: {numbers}{some}"


def _missing(streams: _Streams, classes: Sequence[str], labelling: Labelling, noun: str) -> Iterator[str]:
    for name in ("val", "test"):
        met = {label for each in {*streams[name].labels} for label in labelling.names(each)}
        absent = [label for label in classes if label not in met]
        if absent:
            needed = f"a class needs {SMALLEST} {noun}s to be split"
            yield f"{name} has no {noun} of {a_few(absent)}, so its metrics say nothing about them ({needed})"


def _copies(streams: _Streams, kind: Input) -> Iterator[str]:
    for name, examples in streams.items():
        groups = copies(examples.same)
        if groups:
            count = sum(len(same) - 1 for same in groups)
            words = f"{count} copies" if count > 1 else "a copy"
            one, other = (kind.title(examples.sources[place]) for place in groups[0][:2])
            yield f"{name} holds {words} of other {kind.noun}s in it, such as {one} and {other}"


def _leaks(streams: _Streams, kind: Input) -> Iterator[str]:
    for one, other in LEAKS:
        first, second = streams[one].same, streams[other].same
        places = np.flatnonzero(np.isin(second, first))
        if len(places):
            same, count = second[places[0]], len(np.unique(second[places]))
            pair = " and ".join(
                kind.title(streams[name].sources[int(np.argmax(numbers == same))])
                for name, numbers in ((one, first), (other, second))
            )
            yield f"the same {kind.noun} in {one} and {other}, {count} in all, so {other} looks better than it is: {pair}"


def _conflicts(streams: _Streams, labelling: Labelling, kind: Input) -> Iterator[str]:
    examples, torn = reduce(add, streams.values()), []
    for places in copies(examples.same):
        paths: dict[str, str] = {}
        for item in map(examples.item, places):
            paths.setdefault(labelling.text(item.label), item.source)
        if len(paths) > 1:
            torn.append(paths)
    if torn:
        (one, path), (other, copy) = list(torn[0].items())[:2]
        first, second = f"{kind.title(path)} ({one})", f"{kind.title(copy)} ({other})"
        yield f"the same {kind.noun} under two labels, {len(torn)} in all: {first} and {second}"
