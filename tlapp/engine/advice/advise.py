"""Advice before training: what plain classifiers make of frozen features says which backbone, which stages, and how much data."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Input
from tlapp.engine.advice import probe
from tlapp.engine.advice.baselines import rows
from tlapp.engine.data.intervals import Z, difference, share
from tlapp.engine.network.front import BATCH, Front
from tlapp.errors import UserError

PARTS = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of the examples from which the learning curve is drawn."""
STEEPEST, USUAL, TRUST, SPREAD = 0.7, 0.25, 0.25, 0.1
"""Exponents by which errors fall with the number of examples: the largest that is believed, the usual one, how much the measured
one counts beside it, and how far from that the true one is, a deviation (docs/results.md, "Advice")."""
EPOCHS = 30  # that training every stage usually takes
FAR = 0.02
"""By how much earlier stages must tell classes better for a domain to be called far."""
FEW, MANY = 30, 1000
"""Examples a class: below, training more than the head overfits more often than not; from there on, training all stages pays."""


class Features(NamedTuple):
    """What a frozen backbone says of the examples that are not for testing.

    Attributes:
        stages: stage -> (n, its channels), in the order of the network.
        labels: (n,).
        ms: milliseconds of the front for one example.
        outline: of the run that was not carried out.
        sources: of the examples, which `input` reads.
    """

    stages: dict[str, np.ndarray]
    labels: np.ndarray
    groups: list[str]
    ms: float
    outline: Any
    images: Mapping[str, int]
    input: Input
    sources: list[str]


def features(run: Any) -> Features:
    """Of the examples of a prepared run of the strategy `probe`, whose first phase takes the outputs of all stages.

    Raises:
        UserError: a class has fewer examples than there are folds.
    """
    dataset, slot = run.dataset, run.work.slots[0]
    arrays, labels, groups, sources = [], [], list[str](), list[str]()
    for name in ("train", "val"):
        if not (stream := dataset.streams.get(name)) or stream.labels is None:
            continue
        taken = rows(len(stream))
        arrays.append(run.work.streams.source(slot.phase, slot.cut, name).take(taken, 0)[0].astype(np.float32))
        labels.append(stream.labels[taken])
        groups += [stream.groups[row] for row in taken]
        sources += [stream.files[row] for row in taken]
    counts = np.bincount(np.concatenate(labels), minlength=len(dataset.classes))
    if counts.min() < probe.FOLDS:
        few, least = dataset.classes[int(counts.argmin())], counts.min()
        raise UserError(
            f"class {few} has {least} {dataset.input.noun}s besides those for testing; "
            f"advice takes at least {probe.FOLDS} of each class",
            run.job.options.data, option="data",
        )  # fmt: skip
    sizes = {stage.name: stage.shape[-1] for stage in run.backbone.facts.stages if stage.shape and stage.shape[-1]}
    parts = np.split(np.concatenate(arrays), np.cumsum([*sizes.values()])[:-1], axis=1)
    images = {name: len(stream) for name, stream in dataset.streams.items()}
    return Features(
        dict(zip(sizes, parts, strict=True)), np.concatenate(labels), groups, _milliseconds(run), run.outline, images,
        dataset.input, sources,
    )  # fmt: skip


def _milliseconds(run: Any) -> float:
    stream = run.dataset.streams["train"]
    few = stream.examples.take(np.arange(len(stream))[np.arange(BATCH) % len(stream)])
    front = Front(run.backbone.graph, run.backbone.graph.outputs[:1])
    front(few)
    began = time.perf_counter()
    front(few)
    return 1000 * (time.perf_counter() - began) / BATCH


class Judged(NamedTuple):
    """How well features tell classes, cross-validated: whether each example is answered right, (n,), and the accuracy."""

    right: np.ndarray
    accuracy: float
    interval: list[float]


def judged(known: np.ndarray, labels: np.ndarray, classes: int, groups: Sequence[str]) -> Judged:
    """Logistic regression by stratified cross-validation, once."""
    right = np.zeros(len(labels), bool)
    for train, test in probe.folds(labels, groups, repeats=1):
        model = probe.logistic(known[train], labels[train], classes, probe.PENALTIES[1])
        right[test] = model(known[test]).argmax(1) == labels[test]
    return Judged(right, float(right.mean()), share(int(right.sum()), len(right)))


def without_backbone(found: Features) -> Judged | None:
    """How well the input's own plain classifier tells the classes, judged as features are; None where there is none."""
    if (model := found.input.plain_classifier()) is None:
        return None
    right, sources = np.zeros(len(found.labels), bool), np.array(found.sources, object)
    for train, test in probe.folds(found.labels, found.groups, repeats=1):
        answers = probe.answered(model, sources[train], found.labels[train], sources[test])
        right[test] = answers == found.labels[test]
    return Judged(right, float(right.mean()), share(int(right.sum()), len(right)))


def curve(known: np.ndarray, labels: np.ndarray, classes: int, groups: Sequence[str] = ()) -> dict[str, Any]:
    """What more examples would buy: errors fall about as a power of their number (Hestness et al. 2017,
    https://arxiv.org/abs/1712.00409), from what was measured with all of them on. What so few examples say of the exponent is
    unsure and mostly too steep, so that it is drawn towards the usual one.

    Returns:
        points: [examples trained on, accuracy], and for "2" and "4" times as many: {accuracy, interval}.
    """
    rng, points, splits = np.random.default_rng(0), list[tuple[int, float]](), [*probe.folds(labels, groups)]
    most = min(len(rest) for rest, _ in splits)
    for rest, test in splits:
        order = rng.permutation(rest)
        for part in PARTS:
            train = order[: max(round(part * most), classes)]  # the same number in each fold
            if len(np.unique(labels[train])) == classes:
                model = probe.logistic(known[train], labels[train], classes, probe.PENALTIES[1])
                points.append((len(train), float((model(known[test]).argmax(1) == labels[test]).mean())))
    sizes = sorted({size for size, _ in points})
    means = [float(np.mean([accuracy for size, accuracy in points if size == each])) for each in sizes]
    found: dict[str, Any] = {"points": [[*pair] for pair in zip(sizes, means, strict=True)]}
    if len(sizes) < 3:
        return found
    errors = np.maximum(1 - np.array(means), 0.5 / len(labels))
    slope = TRUST * np.clip(np.polyfit(np.log(sizes), np.log(errors), 1)[0], -STEEPEST, 0.0) - (1 - TRUST) * USUAL
    own = means[-1] / (errors[-1] * len(labels))  # the variance of the logarithm of an error that so many showed
    for times in (2, 4):
        deviation = ((SPREAD * math.log(times)) ** 2 + own) ** 0.5
        low, middle, high = (1 - min(errors[-1] * times**slope * math.exp(sign * Z * deviation), 1.0) for sign in (1, 0, -1))
        found[str(times)] = {"accuracy": float(middle), "interval": [float(low), float(high)]}
    return found


def backbone(found: Features) -> dict[str, Any]:
    """What one backbone is worth for the task.

    Returns:
        accuracy and interval, of logistic regression on its features; all_stages, the same on the outputs of all stages; stages:
        {stage: accuracy} of each alone; far: whether earlier stages know more; parameters, megabytes, ms and licence.
    """
    classes, names = len(found.outline.classes), [*found.stages]
    alone = {name: judged(part, found.labels, classes, found.groups) for name, part in found.stages.items()}
    every = np.concatenate([probe.scale_of(part)(part) for part in found.stages.values()], axis=1)
    whole, last = judged(every, found.labels, classes, found.groups), alone[names[-1]]
    gain = difference(whole.right, last.right)
    return {
        "accuracy": last.accuracy, "interval": last.interval, "all_stages": whole.accuracy, "all_stages_interval": whole.interval,
        "gain_interval": gain, "stages": {name: each.accuracy for name, each in alone.items()},
        "far": bool(gain[0] > 0 and whole.accuracy - last.accuracy > FAR), "parameters": found.outline.params,
        "megabytes": found.outline.params * 4 / 1e6, "ms": found.ms, "licence": found.outline.licence,
        "image_size": found.outline.image_size,
    }  # fmt: skip


def advice(found: Mapping[str, Features], epochs: int = EPOCHS) -> dict[str, Any]:
    """Backbones, best first, what more data would buy, and a recommendation with its reasons.

    Args:
        found: by the backbones' IDs; the same data for each. `epochs`: that are usual where every stage trains.
    """
    ranked = {name: backbone(each) for name, each in found.items()}
    order = sorted(ranked, key=lambda name: -max(ranked[name]["accuracy"], ranked[name]["all_stages"]))
    best, some = order[0], found[order[0]]
    counts = np.bincount(some.labels, minlength=len(some.outline.classes))
    facts = ranked[best]
    known = np.concatenate([*some.stages.values()], axis=1) if facts["far"] else [*some.stages.values()][-1]
    more = curve(known, some.labels, len(some.outline.classes), some.groups)
    settings, reasons = recommended(best, facts, counts, more, some.input.noun)
    plain = without_backbone(some)
    if plain:
        reasons.append(plain_words(some.input.plain, plain, facts))
    return {
        "classes": len(counts), "images": dict(some.images), "most": int(counts.max()), "least": int(counts.min()),
        "backbones": {name: ranked[name] for name in order}, "curve": more, "settings": settings, "reasons": reasons,
        "costs": costs(some, epochs), "noun": some.input.noun,
        "plain": plain and {"name": some.input.plain, "accuracy": plain.accuracy, "interval": plain.interval},
    }  # fmt: skip


def plain_words(name: str, plain: Judged, facts: Mapping[str, Any]) -> str:
    """What a classifier without a backbone is worth beside the best one."""
    low, high = plain.interval
    best = max(facts["accuracy"], facts["all_stages"])
    wins = ": more than the frozen features, so that a network has to be tuned to be worth its cost" if low > best else ""
    return f"{name}, which needs no network, has {plain.accuracy:.3f} ({low:.3f} to {high:.3f}){wins}"


def recommended(
    name: str, facts: Mapping[str, Any], counts: np.ndarray, more: Mapping[str, Any], noun: str = "picture"
) -> tuple[dict[str, Any], list[str]]:
    """Settings, and why: the rules of thumb of transfer learning, with what was measured."""
    settings: dict[str, Any] = {"plugin": "auto", "backbone": name}
    reasons = [f"{name} tells the classes best: {facts['accuracy']:.3f} by logistic regression on its frozen features"]
    stages = facts["stages"]
    top = max(stages, key=lambda stage: stages[stage])
    if facts["far"]:
        reasons.append(
            f"the {noun}s look unlike what the backbone was trained on: with all stages' outputs accuracy is "
            f"{facts['all_stages']:.3f}, and {top} alone has {stages[top]:.3f}"
        )
    typical = int(np.median(counts))
    if typical < FEW:
        settings["plugin"] = "probe" if facts["far"] else "freeze"
        reasons.append(f"{typical} {noun}s a class are few: train the head only")
    elif typical >= MANY:
        settings |= {"plugin": "full"}
        reasons.append(f"{typical} {noun}s a class are many: training every stage pays")
    else:
        reasons.append(f"{typical} {noun}s a class: let val decide how much of the network to train")
    if gain := more.get("4"):
        now = more["points"][-1][1]
        low, high = gain["interval"]
        reasons.append(
            f"four times the {noun}s would bring about {gain['accuracy']:.3f} ({low:.3f} to {high:.3f}), from {now:.3f}"
        )
    if counts.min() * 3 < counts.max():
        reasons.append(
            f"classes differ {counts.max() / max(counts.min(), 1):.1f} to 1: look at the recall of each, and at balanced accuracy"
        )
    if max(facts["interval"][1], facts["all_stages_interval"][1]) < 1.2 * counts.max() / counts.sum():
        reasons.append("transfer is doubtful: frozen features are hardly better than always the most frequent class")
    return settings, reasons


def costs(found: Features, epochs: int = EPOCHS) -> dict[str, float]:
    """About how many seconds strategies would take here, by the measured front: a step takes thrice as long as one forth."""
    count, each = sum(found.images.get(name, 0) for name in ("train", "val", "test")), found.ms / 1000
    front = count * each
    return {"freeze": front, "partial": front * 4, "full": front * (1 + 3 * epochs)}
