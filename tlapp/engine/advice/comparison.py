"""Finished runs side by side: tables of several strategies and seeds, and two runs picture by picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.data.intervals import Z, difference, share
from tlapp.engine.runs.folder import PREDICTIONS, RunFolder
from tlapp.errors import UserError


class Answer(NamedTuple):
    """What a run says of an example of its test."""

    label: str
    predicted: str
    probability: float

    @property
    def right(self) -> bool:
        """Whether the answer is the label."""
        return self.label == self.predicted


def answers(run: RunFolder, split: str = "test") -> dict[str, Answer]:
    """Example -> answer, of a part of a run's data."""
    with open(run.file(PREDICTIONS), encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        column = next(rows)
        place = {name: column.index(name) for name in ("split", "label", "predicted", "probability")}
        return {
            row[0]: Answer(row[place["label"]], row[place["predicted"]], float(row[place["probability"]] or "nan"))
            for row in rows if row[place["split"]] == split
        }  # fmt: skip


def measured(run: RunFolder) -> bool:
    """Whether a run has the accuracy of a test."""
    return "accuracy" in (run.metrics()["test"] or {})


def row(runs: Mapping[int, RunFolder], first: Mapping[int, RunFolder]) -> dict[str, Any]:
    """One line of a table: runs of one kind, by their seeds, beside those of the first kind.

    Returns:
        accuracy, macro_f1, seconds, memory_mb and trained (parameters of the backbone): medians or means over the runs;
        accuracy_interval: of as many examples as were tested, each counted once however many seeds tested it; difference and
        difference_interval: of the accuracy, paired by examples, None for the first kind itself.

    Raises:
        UserError: the answers have no accuracy.
    """
    if missing := [run.path for run in runs.values() if not measured(run)]:
        raise UserError(f"{missing[0]}: has no accuracy of a test; what is compared has one class an example")
    metrics = [run.metrics() for run in runs.values()]
    right = {seed: {name: each.right for name, each in answers(run).items()} for seed, run in runs.items()}
    tested = {name for part in right.values() for name in part}
    accuracy = float(np.mean([each["test"]["accuracy"] for each in metrics]))
    found: dict[str, Any] = {
        "seeds": sorted(runs), "accuracy": accuracy, "accuracy_interval": share(accuracy * len(tested), len(tested)),
        "macro_f1": float(np.mean([each["test"]["macro_f1"] for each in metrics])),
        "lowest": float(min(each["test"]["accuracy"] for each in metrics)),
        "seconds": float(np.median([each["seconds"]["total"] for each in metrics])),
        "memory_mb": float(np.median([each["peak_memory_mb"] for each in metrics])),
        "trained": max((phase["trains"] for run in runs.values() for phase in run.plan()["phases"]), default=0),
        "difference": None, "difference_interval": None,
    }  # fmt: skip
    shared = sorted(runs.keys() & first.keys())
    if runs != first and shared:
        theirs = {seed: {name: each.right for name, each in answers(first[seed]).items()} for seed in shared}
        found |= paired([right[seed] for seed in shared], [theirs[seed] for seed in shared])
    return found


def paired(ours: Sequence[Mapping[str, bool]], theirs: Sequence[Mapping[str, bool]]) -> dict[str, Any]:
    """The mean difference of accuracies, and its interval over examples; one of several runs counts once, by their mean."""
    gaps: dict[str, list[int]] = {}
    for one, other in zip(ours, theirs, strict=True):
        for name in one.keys() & other.keys():
            gaps.setdefault(name, []).append(int(one[name]) - int(other[name]))
    if len(ours) == 1:
        names = sorted(gaps)
        interval = difference(*(np.array([side[0][name] for name in names]) for side in (ours, theirs)))
        return {"difference": float(np.mean([gaps[name][0] for name in names])), "difference_interval": interval}
    means = np.array([np.mean(each) for each in gaps.values()])
    mean, half = float(means.mean()), float(Z * means.std(ddof=1) / len(means) ** 0.5)
    return {"difference": mean, "difference_interval": [mean - half, mean + half]}


def flipped(one: RunFolder, other: RunFolder) -> dict[str, Any]:
    """Two runs picture by picture: which settings differ, and which examples of test are answered otherwise.

    Returns:
        settings: {key: [first, second]}; tested: how many examples both were tested on; difference and difference_interval of the
        second's accuracy less the first's, on those; flips: [example, label, the first's answer, the second's].
    """
    before, after = one.settings(), other.settings()
    ours, theirs = answers(one), answers(other)
    both = sorted(ours.keys() & theirs.keys())
    changed = [[name, ours[name].label, ours[name].predicted, theirs[name].predicted]
               for name in both if ours[name].predicted != theirs[name].predicted]  # fmt: skip
    compared = paired([{name: theirs[name].right for name in both}], [{name: ours[name].right for name in both}]) if both else {}
    return {
        "settings": {key: [before.get(key), after.get(key)] for key in sorted(before.keys() | after.keys())
                     if before.get(key) != after.get(key)},
        "tested": len(both), **compared, "flips": changed,
    }  # fmt: skip
