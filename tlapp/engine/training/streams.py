"""What a phase gets of the named sets of examples, and how its net does on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tlapp.contracts import Fit, Head, Phase
from tlapp.engine.data.streams import Dataset
from tlapp.engine.network.activations import Remembered, Source
from tlapp.engine.network.cut import Cut
from tlapp.engine.network.net import PhaseNet
from tlapp.engine.network.predict import describer, predictor
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.history import Epoch
from tlapp.engine.training.feeds import Feed, labelled, unlabelled
from tlapp.engine.training.score import Look, look


class Streams:
    """The streams of a run.

    Args:
        dataset: pictures and labels.
        remembered: their activations.
        head: whose activation makes probabilities.
    """

    def __init__(self, dataset: Dataset, remembered: Remembered, options: RunOptions, head: Head):
        self.dataset, self.remembered, self.options, self.head = dataset, remembered, options, head

    def source(self, phase: Phase, where: Cut, name: str) -> Source:
        """The activations of a stream at a phase's cut, augmented where the phase says so."""
        augment = phase.augment if name in phase.streams else None
        if augment is None or name == augment.reference:
            return self.remembered.source(where, self._rows(name))
        return self.remembered.source(where, self._rows(name), augment, self._rows(augment.reference))

    def feed(self, phase: Fit, where: Cut, name: str, given: tuple[np.ndarray, np.ndarray] | None = None) -> Feed:
        """A stream with its labels; `given` are those (n, classes) and the weights (n,) of a target that was labelled."""
        stream, source = self.dataset.streams[name], self.source(phase, where, name)
        if name == "target" and given is not None:
            feed = Feed(source, len(stream), *given)
        elif stream.labels is None or name == "target":
            feed = unlabelled(source, len(stream))
        else:
            feed = labelled(source, stream.labels, len(self.dataset.classes_of(name)), self.options, self.dataset.labelling)
        augment = phase.augment
        return feed if augment is None or name == augment.reference else feed._replace(versions=augment.per_step)

    def describe(self, net: PhaseNet, where: Cut) -> tuple[np.ndarray, np.ndarray]:
        """Features (n, size) and probabilities (n, classes) of the target as a net then sees it."""
        source = self.remembered.source(where, self._rows("target"))
        features, said = describer(net, self.head.activation)(source, len(self.dataset.streams["target"]))
        return features, said

    def judge(self, net: PhaseNet, where: Cut, phase: Phase) -> Callable[[int], Epoch]:
        """Epoch -> how the net then does on what selects, as a line of history without the loss's terms."""
        watched = phase.select == "target"
        validate = self._validator(net, where) if watched or sees_labels(phase) else dict
        look_at_target = self._watch(net, where) if watched else None

        def line(epoch: int) -> Epoch:
            seen = validate()
            found = look_at_target(seen.get("accuracy", 0.0)) if look_at_target else ()
            return Epoch(phase.name, epoch, {}, seen, epoch == 0, *found)

        return line

    def metrics(self, net: PhaseNet, where: Cut, name: str) -> dict[str, Any] | None:
        """The metrics of a stream; None where there is none, or no labels."""
        stream = self.dataset.streams.get(name)
        if stream is None or stream.labels is None:
            return None
        source = self.remembered.source(where, stream.examples.numbers)
        found = predictor(net, self.head.activation)(source, len(stream))
        return self.dataset.labelling.metrics(found, stream.labels, self.dataset.classes_of(name))

    def _rows(self, name: str | None) -> Any:
        return None if name is None else self.dataset.streams[name].examples.numbers

    def _watch(self, net: PhaseNet, where: Cut) -> Callable[[float], Look]:
        source, count = self.remembered.source(where, self._rows("target")), len(self.dataset.streams["target"])
        predict = predictor(net, self.head.activation)
        return lambda accuracy: look(predict(source, count), accuracy)

    def _validator(self, net: PhaseNet, where: Cut) -> Callable[[], Mapping[str, float]]:
        stream = self.dataset.streams.get("val")
        if stream is None or stream.labels is None:
            return dict
        source, labels = self.remembered.source(where, stream.examples.numbers), stream.labels
        predict = predictor(net, self.head.activation)

        def validate() -> Mapping[str, float]:
            found = self.dataset.labelling.metrics(predict(source, len(labels)), labels, self.dataset.classes)
            return {"loss": found["loss"], "accuracy": found["accuracy"]}

        return validate


def sees_labels(phase: Phase) -> bool:
    """Whether the head learns in a phase, so that validation says something."""
    return not isinstance(phase, Fit) or phase.loss is None or "train" in phase.streams
