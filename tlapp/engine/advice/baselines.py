"""What plain classifiers make of the frozen features of a run's own streams, so that it can be said whether training helped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlapp.engine.advice import probe
from tlapp.engine.advice.copies import Sample, leaks
from tlapp.engine.data.intervals import difference
from tlapp.engine.data.streams import Dataset
from tlapp.engine.network.cut import Cut, holds
from tlapp.engine.training.phases import Phases
from tlapp.errors import UserError

LIMIT = 3000
"""Examples of training that the baselines learn from at most, and as many that they are asked."""
ENOUGH = 500
"""Examples of a test from which on its own accuracy is sure enough."""


@dataclass(frozen=True)
class Baselines:
    """Features of the frozen backbone, by streams: train, val and test; computed before anything trained."""

    dataset: Dataset
    features: Mapping[str, np.ndarray]

    def labels(self, name: str) -> np.ndarray:
        """The labels of the rows of a stream whose features there are."""
        labels = self.dataset.streams[name].labels
        assert labels is not None, "train, val and test have labels"
        return labels[rows(len(labels))]

    def leaks(self) -> list[tuple[str, str]]:
        """(test picture, training picture) that show the same but for encoding, size or a margin; for pictures."""
        if self.dataset.input.noun != "picture":
            return []
        streams, sides = self.dataset.streams, self.dataset.sides
        known, asked = (Sample(streams[name], rows(len(streams[name])), self.features[name], sides) for name in ("train", "test"))
        return leaks(known, asked)

    def measured(self, answers: np.ndarray) -> dict[str, Any]:
        """How baselines do on test, and what the run's answers, (n,) labels, are beside each.

        Returns:
            majority, neighbours, logistic: {accuracy, difference, difference_interval} each, the run's accuracy less its; plain,
            the same with its name, where the input has a classifier that needs no backbone; and cross_validated, where test
            is small: logistic regression on all examples.
        """
        classes, train, truth = len(self.dataset.classes), self.labels("train"), self.labels("test")
        known, asked = self.features["train"], self.features["test"]
        val = (self.features["val"], self.labels("val")) if "val" in self.features else None
        model = probe.chosen(known, train, classes, val)
        theirs = {
            "majority": np.full(len(truth), np.bincount(train).argmax()),
            "neighbours": probe.neighbours(known, train, asked, classes),
            "logistic": model(asked).argmax(1),
        }
        right = answers[rows(len(answers))] == truth
        found: dict[str, Any] = {name: beside(right, each == truth) for name, each in theirs.items()}
        if (name := self.dataset.input.plain) and (answered := self._plainly()) is not None:
            found["plain"] = {"name": name, **beside(right, answered == truth)}
        if len(truth) < ENOUGH:
            names = [name for name in ("train", "val", "test") if name in self.features]
            features, labels = (np.concatenate([part[name] for name in names])
                                for part in (self.features, {name: self.labels(name) for name in names}))  # fmt: skip
            groups = [group for name in names for group in self.dataset.streams[name].groups]
            if np.bincount(labels, minlength=classes).min() >= probe.FOLDS and len(groups) == len(labels):
                found["cross_validated"] = probe.cross_validated(features, labels, classes, model.penalty, groups)
        return found

    def _plainly(self) -> np.ndarray | None:
        """What the input's own plain classifier, trained on train, answers to test, (n,); None where there is none."""
        model = self.dataset.input.plain_classifier()
        sources = {name: self.dataset.streams[name].files for name in ("train", "test")}
        known, asked = ([files[row] for row in rows(len(files))] for files in sources.values())
        return None if model is None else probe.answered(model, known, self.labels("train"), asked)


def frozen(work: Phases, resumed: bool, untouched: Sequence[Cut]) -> Baselines | None:
    """The frozen features of a run under way, whose weights are still as they were; None where no test says what they are worth.

    They are computed in one pass with what the phases need.

    Args:
        untouched: as `untouched_cuts` gives it.

    Raises:
        UserError: there are none, and option verdict asks for them.
    """
    streams, backbone = work.streams, work.backbone
    held = {name: streams.dataset.streams[name] for name in ("train", "val", "test") if name in streams.dataset.streams}
    adapts = {"target", "support"} & {*streams.dataset.streams}
    if streams.dataset.labelling.kind != "one" or adapts or not ("test" in held and len(held["test"])):
        if work.job.options.verdict:
            raise UserError("needs a test set with one class an example, and no other domain or classes", option="verdict")
        return None
    began, remembered = time.perf_counter(), streams.remembered
    coming = [] if resumed else work.ready(0)
    if not holds(work.graph, untouched):  # a graft has made the network anew
        remembered, coming = remembered.of(backbone.graph), []
    remembered.expect([*coming, *((cut, None) for cut in untouched)])
    features = {}
    for name, stream in held.items():
        (found,) = remembered.source(untouched[0], stream.examples.numbers).take(rows(len(stream)), 0)
        features[name] = found.reshape(len(found), -1).astype(np.float32)
    work.seconds["front"] += time.perf_counter() - began
    return Baselines(streams.dataset, features)


def rows(count: int) -> np.ndarray:
    """At most so many of a stream's rows as the baselines use, the same ones each time, in order."""
    return np.sort(np.random.default_rng(0).permutation(count)[:LIMIT])


def beside(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """How accurate one is beside another, by whether each example is answered right, (n,) bool each."""
    return {
        "accuracy": float(theirs.mean()), "difference": float(ours.mean() - theirs.mean()),
        "difference_interval": difference(ours, theirs),
    }  # fmt: skip


def verdict(found: Mapping[str, Any]) -> str:
    """One line for people.

    Args:
        found: as `Baselines.measured` gives it; with "tuned", whether the run changed the backbone, with "trained", whether it
            trained anything of it, and with "scratch", as `tlapp.engine.advice.scratch.compared` gives it, where the same
            network was trained from random weights; with "origin", where it was also trained as it was before it had learnt
            an earlier task.
    """
    parts = [say(found[name]) for name, say in (("scratch", _beside_scratch), ("origin", _beside_origin)) if name in found]
    plain = found["logistic"]
    low, high = plain["difference_interval"]
    trained = found.get("trained", True)  # else a graft reads more of the frozen network than its end, as `probe`'s does
    what, features, instead = (
        ("tuning", "the frozen features", "freeze") if trained
        else ("what is read of earlier stages", "the last stage's features", "feature-extract")
    )  # fmt: skip
    if not found["tuned"]:
        if high < 0:
            parts.append(f"{points(plain)} beside logistic regression on the same features: try option plugin=feature-extract")
        else:
            parts.append(f"{points(found['majority'])} over always the most frequent class; logistic regression on the features: "
                         f"{plain['accuracy']:.4f}")  # fmt: skip
    elif low > 0:
        parts.append(f"{what} helps: {points(plain)} over logistic regression on {features}")
    elif high < 0:
        parts.append(f"{what} hurt: {points(plain)} beside logistic regression on {features}; try option plugin={instead}")
    else:
        parts.append(f"{what} added nothing sure over logistic regression on {features}: {points(plain)}")
    if without := found.get("plain"):
        parts.append(_beside_plain(without))
    if found["majority"]["difference_interval"][0] <= 0:
        parts.append("no better than always the most frequent class: the labels, or the examples, do not say what is asked")
    return "; ".join(parts)


def _beside_scratch(scratch: Mapping[str, Any]) -> str:
    """What the pre-trained weights were worth."""
    than = f"{points(scratch)} {{}} training from scratch"
    harm = f"negative transfer: {than}; try another backbone, a smaller one, two (A+B), or full"
    return _by_sign(scratch, f"transfer helps: {than}", harm, f"transfer made no sure difference: {than}")


def _beside_origin(origin: Mapping[str, Any]) -> str:
    """What an earlier task was worth."""
    task, than = "the task learnt before", f"{points(origin)} {{}} starting from {origin['backbone']}"
    harm = f"{task} harms: {than}; try option backbone={origin['backbone']}"
    return _by_sign(origin, f"{task} helps: {than}", harm, f"{task} made no sure difference: {than}")


def _by_sign(compared: Mapping[str, Any], better: str, worse: str, neither: str) -> str:
    """The sentence that fits the interval of a difference, with "over" or "beside" in its gap."""
    low, high = compared["difference_interval"]
    return better.replace("{}", "over") if low > 0 else (worse if high < 0 else neither).replace("{}", "beside")


def _beside_plain(plain: Mapping[str, Any]) -> str:
    """What a run is worth beside a classifier without a backbone."""
    low, high = plain["difference_interval"]
    name = f"{plain['name']}, which needs no network"
    if high < 0:
        return f"{name}, does better: accuracy {plain['accuracy']:.4f}, this run {points(plain)}"
    return f"{points(plain)} {'over' if low > 0 else 'beside'} {name}"


def points(compared: Mapping[str, Any]) -> str:
    """A difference of accuracies with its interval, in points."""
    low, high = (100 * each for each in compared["difference_interval"])
    return f"{100 * compared['difference']:+.1f} points ({low:+.1f} to {high:+.1f})"
