"""Strategies and heads: the two things that plugins mostly are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

from tlapp.contracts.backbone import Backbone
from tlapp.contracts.options import Options
from tlapp.contracts.plan import Plan

Labels = Literal["one", "many", "number"]
"""What an example has as its label."""


@dataclass(frozen=True)
class Task:
    """What is to be learnt.

    Attributes:
        classes: names in label order, each a single label; of labels that are numbers the one name "value".
        streams: how many examples each stream holds.
        aux_classes: as `classes`, of the stream aux; empty where there is none.
        labels: what an example has: "one" class, "many", or a "number". As the head says it.
        support_classes: as `classes`, of the streams support and query, which share them; empty where there is neither.
    """

    classes: tuple[str, ...]
    streams: Mapping[str, int]
    aux_classes: tuple[str, ...] = ()
    labels: Labels = "one"
    support_classes: tuple[str, ...] = ()


class Rung(NamedTuple):
    """A run that a race tries: of another strategy, with its options.

    Attributes:
        name: of its own.
        plugin: the strategy's name.
        options: keys of settings -> values. Where there is no backbone among them, that of the best run so far is taken.
        needs: names of rungs: one must be the best so far for this one to be tried; none: it always is.
        adapts: it is for runs with a target, and judged by the target's score; the others are for runs without one.
        instead: name of a rung: this one is tried only where that one cannot be.
        least: number of training examples from which on it is tried; of no use in the first rung.
        probation: number of epochs of its last phase after which it is left, where its loss on val is not below that of the best
            run so far, or in half of them within a standard error of it; 0: it always comes to its end. Of no use in the first
            rung.
    """

    name: str
    plugin: str
    options: Mapping[str, Any] = MappingProxyType({})
    needs: tuple[str, ...] = ()
    adapts: bool = False
    instead: str = ""
    least: int = 0
    probation: int = 0


class Strategy(Options):
    """Decides what trains, when and how fast. The first line of the docstring is its help."""

    contract: ClassVar[str] = "1.0"
    """The `tlapp.contracts.VERSION` that it was written for."""

    @abstractmethod
    def plan(self, task: Task, backbone: Backbone) -> Plan:
        """The phases for this task and backbone. Pure: equal inputs give an equal plan; imports no TensorFlow.

        Raises:
            UserError: the options do not fit the task or the backbone.
        """

    def rungs(self) -> Sequence[Rung]:
        """Runs to try, the cheapest first, of which the best on val is kept. Where there are any, `plan` is only asked by
        `--dry-run`, and says what the first does.
        """
        return ()

    @property
    def seconds(self) -> float | None:
        """After so many no more rung is tried; None for no limit."""
        return None


class Head(Options):
    """Turns features into outputs. The first line of the docstring is its help."""

    contract: ClassVar[str] = "1.0"
    """The `tlapp.contracts.VERSION` that it was written for."""

    activation: ClassVar[Literal["softmax", "sigmoid", "linear"]] = "softmax"
    """Turns outputs into probabilities in the deployed model; "linear" where labels are numbers."""

    labels: ClassVar[Labels] = "one"
    """Labels a picture. "many": the label "cat;dog" names two classes, rows of labels are multi-hot, activation is "sigmoid".
    "number": a label is a number, `task.classes` is ("value",), activation is "linear"; labels to train on have mean 0 and
    deviation 1, and the engine puts the deployed model's answers back into the labels' unit.
    """

    @abstractmethod
    def build(self, features: Any, task: Task) -> Any:
        """A Keras layer from features (batch, size) to outputs (batch, classes); `features` is symbolic: read its shape."""

    def thresholds(self, probabilities: Any, labels: Any) -> Any:
        """Of heads of many labels: from which probability each label is answered, (classes,), between 0 and 1; None for 0.5.

        It is asked at the end of a run, with the probabilities and labels of val, (n, classes) arrays. The engine then shifts the
        deployed model's outputs so that what is answered is above 0.5 everywhere, exports included.
        """
        return None

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Loss of each example, (batch,). `labels` float (batch, classes), rows summing to 1. Default: cross-entropy.

        Where the head takes many labels a picture, rows hold the probability of each label, and the default is the binary
        cross-entropy, averaged over the labels. Where labels are numbers, rows hold them, (batch, 1), and the default is the
        squared error.
        """
        import keras

        if self.labels == "number":
            return keras.losses.mean_squared_error(labels, outputs)
        if self.labels == "many":
            return keras.losses.binary_crossentropy(labels, outputs, from_logits=True)
        return keras.losses.categorical_crossentropy(labels, outputs, from_logits=True)
