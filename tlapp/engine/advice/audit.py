"""What is wrong with data, by frozen features and by pixels: labels, near-copies, odd ones out, dark and blurred pictures."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.advice import probe
from tlapp.engine.advice.copies import Grey, copies, fewest, grey, neighbours
from tlapp.errors import UserError

PENALTY, NEIGHBOURS, UNSEEN = 1.0, 15, 0.3
"""Of logistic regression, strong, so that it does not learn wrong labels by heart; the nearest examples that vote beside it; and
the votes that all classes share before that, so that none has probability 0."""
TIMES = 1.8
"""How many times as probable as the label another class must be for the label to look wrong, times the root of the number of
classes: the more there are, the fewer errors fall on one. Chosen with 5 % of labels flipped (docs/results.md, "Audit")."""
TWINS = 0.35
"""Share of each of two classes that is taken for the other, from which they may be one."""
DARK, FLAT, BLURRED = 25.0, 6.0, 12.0
"""Mean and deviation of grey values, and variance of their Laplacian, below which a picture is named."""


class Finding(NamedTuple):
    """A line of audit.csv.

    Attributes:
        kind: "label", "copy", "leak" (a copy in another split), "conflict" (a copy of another label), "odd", "dark", "flat",
            "blurred" or "tiny".
        score: how sure, from 0 to 1; lines of a kind are sorted by it.
        other: the other picture of a copy.
        suggestion: the class that a picture seems to be of.
    """

    source: str
    label: str
    split: str
    kind: str
    score: float
    other: str = ""
    suggestion: str = ""


class Pictures(NamedTuple):
    """All labelled examples of a data set, and what is known of each.

    Attributes:
        features: (n, d) of the frozen backbone.
        grey: (n, side, side) uint8, as the network sees them.
        sizes: width and height of each file; 0 where they are not known.
    """

    sources: Sequence[str]
    labels: np.ndarray
    splits: Sequence[str]
    classes: Sequence[str]
    groups: Sequence[str]
    features: np.ndarray
    grey: np.ndarray
    sizes: Sequence[tuple[int, int]]


def audit(data: Pictures) -> tuple[list[Finding], list[str]]:
    """Every finding, the kinds that matter most first, and sentences on classes that may be one."""
    copies = list(near_copies(data))
    probabilities = cross_validated(data, together(data, copies))
    found = [*copies, *wrong_labels(data, probabilities), *odd(data), *poor(data)]
    order = ("conflict", "leak", "label", "copy", "odd", "dark", "flat", "blurred", "tiny")
    return sorted(found, key=lambda each: (order.index(each.kind), -each.score)), list(twins(data, probabilities))


def together(data: Pictures, copies: Sequence[Finding]) -> list[str]:
    """A group for each example, which its near-copies share, lest a copy with the same wrong label vouch for it."""
    place = {source: row for row, source in enumerate(data.sources)}
    group = [given or f"\0{row}" for row, given in enumerate(data.groups)]
    for each in copies:
        old, new = group[place[each.source]], group[place[each.other]]
        group = [new if name == old else name for name in group]
    return group


def cross_validated(data: Pictures, groups: Sequence[str]) -> np.ndarray:
    """Probabilities (n, classes) of each example by others, its group left out: the mean of logistic regression's and of the
    shares of the nearest examples, which err on different examples.
    """
    from scipy.special import softmax

    classes, found = len(data.classes), np.zeros((len(data.labels), len(data.classes)))
    for train, test in probe.folds(data.labels, groups):
        known, labels, asked = data.features[train], data.labels[train], data.features[test]
        votes = probe.votes(known, labels, asked, classes, NEIGHBOURS) + UNSEEN / classes
        found[test] += softmax(probe.logistic(known, labels, classes, PENALTY)(asked), axis=1)
        found[test] += votes / votes.sum(1, keepdims=True)
    return found / (2 * probe.REPEATS)


def wrong_labels(data: Pictures, probabilities: np.ndarray) -> Iterator[Finding]:
    """Labels that pictures of the same classes speak against: another class is many times as probable as the label.

    Their ratio counts, and not their difference as in confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068):
    of two classes that look alike neither is probable, but a third one, if it is the label, is far less so.
    """
    n = np.arange(len(data.labels))
    others = probabilities.copy()
    others[n, data.labels] = 0.0
    share = probabilities[n, data.labels] / others.max(1)
    for row in np.flatnonzero(share < 1 / (TIMES * len(data.classes) ** 0.5)).tolist():
        yield _finding(data, row, "label", float(1 - share[row]), suggestion=data.classes[int(others[row].argmax())])


def near_copies(data: Pictures) -> Iterator[Finding]:
    """Pictures that show the same but for encoding, size or a margin: neighbours by features, then compared by pixels."""
    pairs = {(min(pair), max(pair)) for pair in neighbours(data.features, data.features, same=True)}
    shown = Grey(data.grey, fewest(data.sizes))
    for one, other, value in copies(sorted(pairs), shown, shown):
        same, together = data.labels[one] == data.labels[other], data.splits[one] == data.splits[other]
        kind = "conflict" if not same else "copy" if together else "leak"
        yield _finding(data, other, kind, value, other=data.sources[one])


def odd(data: Pictures) -> Iterator[Finding]:
    """Pictures that are unlike all others: much farther from their nearest than is usual."""
    unit = probe.scale_of(data.features)(data.features)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-9)
    nearest = np.empty(len(unit))
    for start in range(0, len(unit), 512):
        near = unit[start : start + 512] @ unit.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -2
        nearest[start : start + 512] = 1 - near.max(1)
    middle = np.median(nearest)
    spread = 1.4826 * np.median(np.abs(nearest - middle)) + 1e-9
    for row in np.flatnonzero(nearest > middle + 4 * spread).tolist():
        yield _finding(data, row, "odd", float(min(1.0, nearest[row])))


def poor(data: Pictures) -> Iterator[Finding]:
    """Pictures that show little."""
    for row, (picture, (width, height)) in enumerate(zip(data.grey, data.sizes, strict=True)):
        values = picture.astype(np.float32)
        bend = 4 * values[1:-1, 1:-1] - values[:-2, 1:-1] - values[2:, 1:-1] - values[1:-1, :-2] - values[1:-1, 2:]
        if values.std() < FLAT:
            yield _finding(data, row, "flat", 1 - float(values.std()) / FLAT)
        elif values.mean() < DARK and values.max() < 4 * DARK:
            yield _finding(data, row, "dark", 1 - float(values.mean()) / DARK)
        elif width >= picture.shape[1] and height >= picture.shape[0] and bend.var() < BLURRED:
            yield _finding(data, row, "blurred", 1 - float(bend.var()) / BLURRED)
        if 0 < min(width, height) < picture.shape[0] / 8:
            yield _finding(data, row, "tiny", 1 - min(width, height) / picture.shape[0])


def twins(data: Pictures, probabilities: np.ndarray) -> Iterator[str]:
    """Classes that are taken for each other as often as that they may be one."""
    answers = probabilities.argmax(1)
    for one, name in enumerate(data.classes):
        for other in range(one + 1, len(data.classes)):
            mistaken = [float((answers[data.labels == a] == b).mean()) for a, b in ((one, other), (other, one))]
            if min(mistaken) >= TWINS:
                shares = f"{mistaken[0]:.0%} and {mistaken[1]:.0%}"
                yield f"{name} and {data.classes[other]} may be one class: {shares} of their pictures are taken for the other"


def fixed(data: Pictures, found: Sequence[Finding]) -> list[tuple[str, str, str]]:
    """Rows (source, label, split) without what is wrong: suspected labels, both of a conflict, and copies but one."""
    out = {each.source for each in found if each.kind in ("label", "conflict", "leak", "copy")}
    out |= {each.other for each in found if each.kind == "conflict"}
    rows = zip(data.sources, data.labels, data.splits, strict=True)
    return [(source, data.classes[label], split) for source, label, split in rows if source not in out]


def write_csv(path: Path, header: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    """Write a CSV, paths absolute, so that it can lie anywhere.

    Raises:
        UserError: it cannot be written.
    """
    try:
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *([os.path.abspath(line[0]), *line[1:]] for line in lines)])
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _finding(data: Pictures, row: int, kind: str, score: float, other: str = "", suggestion: str = "") -> Finding:
    return Finding(data.sources[row], data.classes[data.labels[row]], data.splits[row], kind, score, other, suggestion)


def pictures(run: Any) -> Pictures:
    """The labelled pictures of a prepared run of a frozen strategy.

    Raises:
        UserError: they are no pictures.
    """
    dataset, slot = run.dataset, run.work.slots[0]
    if dataset.input.noun != "picture":
        raise UserError("an audit is for pictures: it compares pixels", run.job.options.data, option="data")
    names = [name for name in ("train", "val", "test") if name in dataset.streams and len(dataset.streams[name])]
    streams = [dataset.streams[name] for name in names]
    take = [
        run.work.streams.source(slot.phase, slot.cut, name).take(np.arange(len(dataset.streams[name])), 0)[0] for name in names
    ]
    sides, sources = dataset.sides, [source for stream in streams for source in stream.files]
    return Pictures(
        sources, np.concatenate([stream.labels for stream in streams]),
        [name for name, stream in zip(names, streams, strict=True) for _ in stream.files], dataset.classes,
        [group for stream in streams for group in stream.groups],
        np.concatenate(take).reshape(len(sources), -1).astype(np.float32),
        np.concatenate([grey(stream, np.arange(len(stream))) for stream in streams]), [sides[source] for source in sources],
    )  # fmt: skip
