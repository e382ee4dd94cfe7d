"""How well a run learns classes that it has not seen from a few examples of each, for metrics.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tlapp.contracts import Augment, Episodes, FewShot
from tlapp.engine.inputs.views import framed, mean_of_views
from tlapp.engine.training.session import Session, Slot

Learn = Callable[[np.ndarray, np.ndarray, int], Any]
"""(features, labels, number of classes) -> a layer from features to outputs."""


def few_shot(session: Session) -> dict[str, Any]:
    """What the streams support and query say of a run whose last phase has episodes; empty where there is neither.

    `query`: the metrics of what is learnt from the support; `episodes`: the mean accuracy of small tasks drawn from both.
    """
    slot = session.slots[-1]
    phase: Any = slot.phase
    if getattr(phase, "episodes", None) is None or not isinstance(phase.solver, FewShot):
        return {}
    names = [name for name in ("support", "query") if name in phase.streams]
    seen = {name: _features(session, slot, name) for name in names}
    if not seen:
        return {}
    views = framed(phase.episodes.views, session.streams.dataset.input)
    framed_ones = {name: _features(session, slot, name, views)[0] for name in names} if views else {n: seen[n][0] for n in names}
    learn, results = phase.solver.few(session.memory), dict[str, Any]()
    if "support" in seen and "query" in seen:
        classes = session.streams.dataset.classes_of("support")
        assert session.streams.dataset.classes_of("query") == classes, "support and query share their classes"
        layer = learn(framed_ones["support"], seen["support"][1], len(classes))
        outputs = np.asarray(session.streams.last_layer()(layer(seen["query"][0])))
        results["query"] = session.streams.dataset.labelling.metrics(outputs, seen["query"][1], classes)
    features, labels = (np.concatenate(parts) for parts in zip(*seen.values(), strict=True))
    drawn = possible(phase.episodes, labels)
    if drawn is None:
        least = phase.episodes.shot + 1
        session.reporter.note(f"no episodes: they need at least 2 classes with {least} examples or more of {' and '.join(seen)}")
    else:
        to_learn = np.concatenate(list(framed_ones.values()))
        results["episodes"] = judge(drawn, learn, features, labels, session.job.options.seed, to_learn)
    return results


def possible(wanted: Episodes, labels: np.ndarray) -> Episodes | None:
    """The episodes that so many examples of each class allow; None where there are none."""
    counts = np.bincount(labels)
    counts = counts[counts > wanted.shot]
    if len(counts) < 2:
        return None
    return wanted._replace(way=min(wanted.way, len(counts)), query=min(wanted.query, int(counts.min()) - wanted.shot))


def judge(
    episodes: Episodes, learn: Learn, features: np.ndarray, labels: np.ndarray, seed: int, to_learn: np.ndarray | None = None
) -> Mapping[str, Any]:
    """The mean accuracy over episodes, and its 95 % interval by the normal distribution.

    Args:
        to_learn: features of the same examples where they are learnt from, if these are others.
    """
    enough = np.flatnonzero(np.bincount(labels)[labels] > episodes.shot)
    to_learn = (features if to_learn is None else to_learn)[enough]
    features, labels = features[enough], labels[enough]
    places = np.tile(np.arange(episodes.shot + episodes.query), episodes.way)
    truth = np.repeat(np.arange(episodes.way), episodes.shot + episodes.query)
    given = places < episodes.shot
    right = []
    for rows in episodes.batches(labels, np.random.default_rng(seed), episodes.number):
        layer = learn(to_learn[rows[given]], truth[given], episodes.way)
        answers = np.argmax(np.asarray(layer(features[rows[~given]])), axis=1)
        right.append(float(np.mean(answers == truth[~given])))
    mean, half = float(np.mean(right)), float(1.96 * np.std(right, ddof=1) / len(right) ** 0.5)
    return {**episodes._asdict(), "accuracy": mean, "interval": [mean - half, mean + half]}


def _features(session: Session, slot: Slot, name: str, views: Augment | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The features of a stream, of each view's mean where there are several, and its labels."""
    stream, rows = session.streams.dataset.streams[name], np.arange(len(session.streams.dataset.streams[name]))
    assert stream.labels is not None, "support and query have labels"
    if views is None:
        return session.streams.source(slot.phase, slot.cut, name).take(rows, 0)[0], stream.labels
    source = session.streams.remembered.source(slot.cut, stream.examples.numbers, views)
    return mean_of_views(lambda view: source.take(rows, view)[0], views.views or 1), stream.labels
