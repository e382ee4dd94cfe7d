"""What is odd about a data set though it can be trained on: one sentence each, for the user."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tlapp.engine.data.labelling import SEPARATOR, Labelling
from tlapp.engine.data.reading import Bad, Example, in_words
from tlapp.engine.data.splits import SMALLEST
from tlapp.words import a_few

IMBALANCE = 3.0
_Streams = Mapping[str, Sequence[Example]]


def of(streams: _Streams, classes: Sequence[str], bad: list[Bad], labelling: Labelling) -> Iterator[str]:
    """Sentences on streams train, val and test of `classes`, and on the pictures left out."""
    if bad:
        yield f"left out: {in_words(bad)}"
    yield from _imbalance(streams["train"], classes, labelling)
    yield from _missing(streams, classes, labelling)
    yield from _copies(streams)
    yield from _leaks(streams)
    yield from _conflicts(streams, labelling)


def _imbalance(train: Sequence[Example], classes: Sequence[str], labelling: Labelling) -> Iterator[str]:
    counts = Counter(name for example in train for name in labelling.names(example.item.label))
    ranked = sorted(classes, key=lambda name: -counts[name])
    most, least = counts[ranked[0]], counts[ranked[-1]]
    if most > IMBALANCE * least:
        told = ranked if len(ranked) <= 6 else [*ranked[:3], *ranked[-3:]]
        numbers = ", ".join(f"{name} {counts[name]}" for name in told)
        some = " (the largest and the smallest)" if len(told) < len(ranked) else ""
        yield f"classes differ {most / least:.1f} to 1 in train: {numbers}{some}"


def _missing(streams: _Streams, classes: Sequence[str], labelling: Labelling) -> Iterator[str]:
    for name in ("val", "test"):
        met = {label for example in streams[name] for label in labelling.names(example.item.label)}
        absent = [label for label in classes if label not in met]
        if absent:
            yield f"{name} has no picture of {a_few(absent)}, so it says nothing of them (splitting a class takes {SMALLEST})"


def _copies(streams: _Streams) -> Iterator[str]:
    for name, examples in streams.items():
        paths = _by_pixels(examples)
        groups = [same for same in paths.values() if len(same) > 1]
        if groups:
            count = sum(len(same) - 1 for same in groups)
            copies = f"{count} copies" if count > 1 else "a copy"
            yield f"{name} holds {copies} of other pictures in it, such as {groups[0][0]} and {groups[0][1]}"


def _leaks(streams: _Streams) -> Iterator[str]:
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        first, second = _by_pixels(streams[one]), _by_pixels(streams[other])
        shared = [pixels for pixels in second if pixels in first]
        if shared:
            pair = f"{first[shared[0]][0]} and {second[shared[0]][0]}"
            yield f"the same picture in {one} and {other}, {len(shared)} in all, so {other} looks better than it is: {pair}"


def _conflicts(streams: _Streams, labelling: Labelling) -> Iterator[str]:
    labels: dict[str, dict[str, str]] = defaultdict(dict)
    for examples in streams.values():
        for example in examples:
            labels[example.pixels].setdefault(SEPARATOR.join(labelling.names(example.item.label)), example.item.path)
    torn = [found for found in labels.values() if len(found) > 1]
    if torn:
        (one, path), (other, copy) = list(torn[0].items())[:2]
        yield f"the same picture under two classes, {len(torn)} in all: {path} ({one}) and {copy} ({other})"


def _by_pixels(examples: Sequence[Example]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        found[example.pixels].append(example.item.path)
    return found
