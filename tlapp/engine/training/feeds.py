"""What a phase gets of the named streams, and how its net does on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Fit, Head, Phase, Select
from tlapp.engine.cache import store
from tlapp.engine.data.labelling import Labelling
from tlapp.engine.data.streams import Dataset
from tlapp.engine.network.activations import Remembered
from tlapp.engine.network.cut import Cut
from tlapp.engine.network.deploy import answering
from tlapp.engine.network.guides import Asked, answers, asking
from tlapp.engine.network.net import PhaseNet
from tlapp.engine.network.predict import Predict, describer, predictor
from tlapp.engine.network.sources import Source, Views
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.history import Epoch
from tlapp.engine.training.returned import rows_of, score_of
from tlapp.engine.training.score import Look, look
from tlapp.engine.training.selection import by_target

Judge = Callable[[int], Epoch]
"""Number of an epoch -> how the net as it stands does on what selects the best weights, as a line of history."""


class Feed(NamedTuple):
    """One stream at the cut: labels float (n, classes) or None, weights float (n,); a step sees each example `versions` times."""

    source: Source
    size: int
    labels: np.ndarray | None
    weights: np.ndarray
    versions: int = 1
    guides: Mapping[str, Source] = MappingProxyType({})


def unlabelled(source: Source, size: int) -> Feed:
    """A stream without labels."""
    return Feed(source, size, None, np.ones(size, np.float32))


def labelled(source: Source, labels: np.ndarray, classes: int, options: RunOptions, labelling: Labelling) -> Feed:
    """A stream with labels as its dataset holds them: smoothed, and weighted where the classes differ much."""
    soft = labelling.soft(labels, classes, options.label_smoothing)
    weights = labelling.weights(labels, classes) if options.class_weights == "auto" else np.ones(len(labels))
    return Feed(source, len(labels), soft, weights.astype(np.float32))


class Streams:
    """The streams of a run.

    Args:
        dataset: examples and labels.
        remembered: their activations.
        head: whose activation makes answers of outputs.
    """

    def __init__(self, dataset: Dataset, remembered: Remembered, options: RunOptions, head: Head):
        self.dataset, self.remembered, self.options, self.head = dataset, remembered, options, head

    def last_layer(self, temperature: float = 1.0, shift: Sequence[float] = ()) -> Any:
        """What makes answers of the head's outputs."""
        labelling = self.dataset.labelling
        return answering(self.head.activation, labelling.output, labelling.scale, temperature, shift)

    def source(self, phase: Phase, cut: Cut, name: str) -> Source:
        """The activations of a stream at a phase's cut, augmented where the phase says so."""
        augment = phase.augment if name in phase.streams else None
        if augment is None or name == augment.reference:
            return self.remembered.source(cut, self._rows(name))
        return self.remembered.source(cut, self._rows(name), augment, self._rows(augment.reference))

    def feed(self, phase: Fit, cut: Cut, name: str, labels: tuple[np.ndarray, np.ndarray] | None = None) -> Feed:
        """A stream with its labels; `labels` (n, classes) and weights (n,) are those of a target that a labeller labelled."""
        stream, source = self.dataset.streams[name], self.source(phase, cut, name)
        if name == "target" and labels is not None:
            feed = Feed(source, len(stream), *labels)
        elif stream.labels is None or name == "target":
            feed = unlabelled(source, len(stream))
        else:
            feed = labelled(source, stream.labels, len(self.dataset.classes_of(name)), self.options, self.dataset.labelling)
        feed = feed._replace(guides={guide: self._guided(phase, cut, name, guide) for guide in phase.guides})
        augment = phase.augment
        return feed if augment is None or name == augment.reference else feed._replace(versions=augment.per_step)

    def _guided(self, phase: Fit, cut: Cut, name: str, guide: str) -> Source:
        """What a guide says of a stream as the phase sees it."""
        memory, rows = self.remembered, self._rows(name)
        augment = phase.augment if phase.augment and name != phase.augment.reference else None
        reference = self._rows(augment.reference) if augment else None
        ask = asking(guide, phase.guides[guide], [tensor.dtype for tensor in memory.graph.inputs])
        copies = memory.copies(cut, rows, augment, reference)
        if not copies and augment is not None:
            return Asked(memory.examples(rows, augment, reference), ask)
        key, about = (
            phase.guides[guide].key,
            augment and [augment.name, memory.seed, reference is not None and reference.tolist()],
        )
        keys = [store.key_of("guide", key, memory.key, rows.tolist(), about, n) if key else "" for n in range(len(copies))]
        kept = [answers(ask, each, len(rows), k, memory.report) for each, k in zip(copies, keys, strict=True)]
        return kept[0] if augment is None else Views(kept, augment.per_step == augment.views)

    def describe(self, net: PhaseNet, cut: Cut) -> tuple[np.ndarray, np.ndarray]:
        """Features (n, size) and probabilities (n, classes) of the target as a net then sees it."""
        source = self.remembered.source(cut, self._rows("target"))
        features, probabilities = describer(net, self.last_layer())(source, len(self.dataset.streams["target"]))
        return features, probabilities

    def judge(
        self, net: PhaseNet, cut: Cut, phase: Phase, validates: bool, predicts: Callable[[Any], Predict] | None = None
    ) -> Judge:
        """How a net does on what selects in a phase, epoch by epoch.

        Args:
            validates: whether val says something then.
            predicts: last layer -> what the net answers to val, where that is not to be computed here.
        """
        looks = by_target(phase.select)
        predict = (predicts or partial(predictor, net))(self.last_layer())
        validate = self._validator(cut, predict) if looks or validates else dict
        if phase.select == "features":
            validate = self._scorer(net, cut, phase)
        look_at_target = self._looker(net, cut, phase.select) if looks else None

        def line(epoch: int) -> Epoch:
            validation = validate()
            target = look_at_target(validation.get("accuracy", 0.0)) if look_at_target else ()
            return Epoch(phase.name, epoch, {}, validation, epoch == 0, *target)

        return line

    def outputs(self, net: PhaseNet, cut: Cut, name: str) -> np.ndarray | None:
        """What a net's head makes of a stream, (n, classes), before the activation; None where there is none, or no labels."""
        stream = self.dataset.streams.get(name)
        if stream is None or stream.labels is None:
            return None
        return predictor(net, lambda outputs: outputs)(self.remembered.source(cut, self._rows(name)), len(stream))

    def features(self, net: PhaseNet, cut: Cut, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What a net makes of streams before its head, (n, size) each."""
        describe, sizes = describer(net, self.last_layer()), {name: len(self.dataset.streams[name]) for name in names}
        return {name: describe(self.remembered.source(cut, self._rows(name)), size)[0] for name, size in sizes.items()}

    def probabilities(self, net: PhaseNet, cut: Cut, name: str, temperature: float = 1.0) -> np.ndarray | None:
        """What a net answers to a stream, (n, classes), probabilities or numbers; None where there is none, or no labels."""
        outputs = self.outputs(net, cut, name)
        return None if outputs is None else np.asarray(self.last_layer(temperature)(outputs))

    def metrics(self, net: PhaseNet, cut: Cut, name: str) -> dict[str, Any] | None:
        """The metrics of a stream; None where there is none, or no labels."""
        return self.measured(name, self.probabilities(net, cut, name))

    def measured(self, name: str, probabilities: np.ndarray | None) -> dict[str, Any] | None:
        """The metrics of a stream by what a net answered; None for None."""
        labels = None if probabilities is None else self.dataset.streams[name].labels
        if probabilities is None or labels is None:
            return None
        return self.dataset.labelling.metrics(probabilities, labels, self.dataset.classes_of(name))

    def _rows(self, name: str | None) -> Any:
        return None if name is None else self.dataset.streams[name].examples.numbers

    def _looker(self, net: PhaseNet, cut: Cut, select: Select) -> Callable[[float], Look]:
        source, count = self.remembered.source(cut, self._rows("target")), len(self.dataset.streams["target"])
        predict = predictor(net, self.last_layer())
        score = select if callable(select) else None
        return lambda accuracy: look(predict(source, count), accuracy, score)

    def _scorer(self, net: PhaseNet, cut: Cut, phase: Any) -> Callable[[], Mapping[str, float]]:
        """What the phase's own score says of the features of train."""
        stream, describe = self.dataset.streams["train"], describer(net, self.last_layer())
        labels: Any = stream.labels
        rows = rows_of(phase.score.rows(labels), len(stream), phase.name)
        source = self.remembered.source(cut, stream.examples.numbers[rows])
        return lambda: {"score": score_of(phase.score(describe(source, len(rows))[0], labels[rows]), phase.name)}

    def _validator(self, cut: Cut, predict: Predict) -> Callable[[], Mapping[str, float]]:
        stream = self.dataset.streams.get("val")
        if stream is None or stream.labels is None:
            return dict
        source, labels = self.remembered.source(cut, self._rows("val")), stream.labels

        def validate() -> Mapping[str, float]:
            metrics = self.dataset.labelling.metrics(predict(source, len(labels)), labels, self.dataset.classes, intervals=False)
            return {name: metrics[name] for name in ("loss", self.dataset.labelling.headline)}

        return validate
