"""Strategies and heads: the two things that plugins mostly are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlapp.contracts.backbone import Backbone
from tlapp.contracts.options import Options
from tlapp.contracts.plan import Plan


@dataclass(frozen=True)
class Task:
    """What is to be learnt.

    Attributes:
        classes: names in label order, each a single label.
        streams: how many examples each stream holds.
        aux_classes: as `classes`, of the stream aux; empty where there is none.
    """

    classes: tuple[str, ...]
    streams: Mapping[str, int]
    aux_classes: tuple[str, ...] = ()


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


class Head(Options):
    """Turns features into outputs. The first line of the docstring is its help."""

    contract: ClassVar[str] = "1.0"
    """The `tlapp.contracts.VERSION` that it was written for."""

    activation: ClassVar[Literal["softmax", "sigmoid"]] = "softmax"
    """Turns outputs into probabilities in the deployed model."""

    labels: ClassVar[Literal["one", "many"]] = "one"
    """Labels a picture. "many": the label "cat;dog" names two classes, rows of labels are multi-hot, activation is "sigmoid"."""

    @abstractmethod
    def build(self, features: Any, task: Task) -> Any:
        """A Keras layer from features (batch, size) to outputs (batch, classes); `features` is symbolic: read its shape."""

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Loss of each example, (batch,). `labels` float (batch, classes), rows summing to 1. Default: cross-entropy.

        Where the head takes many labels a picture, rows hold the probability of each label, and the default is the binary
        cross-entropy, averaged over the labels.
        """
        import keras

        if self.labels == "many":
            return keras.losses.binary_crossentropy(labels, outputs, from_logits=True)
        return keras.losses.categorical_crossentropy(labels, outputs, from_logits=True)
