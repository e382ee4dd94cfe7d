"""Several labels a picture: a head for tlapp, and what to read off its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Field, Head, Task

SEPARATOR, NOTHING = ";", "none"


def membership(classes: Sequence[str], separator: str = SEPARATOR, nothing: str = NOTHING) -> tuple[tuple[str, ...], np.ndarray]:
    """The labels that classes such as "red;round" are sets of, sorted, and which are in which: (labels, classes), 0 or 1."""
    sets = [{part.strip() for part in name.split(separator)} - {"", nothing} for name in classes]
    labels = tuple(sorted(set().union(*sets)))
    return labels, np.array([[float(label in members) for members in sets] for label in labels], np.float32)


def label_probabilities(
    classes: Sequence[str], probabilities: Any, separator: str = SEPARATOR, nothing: str = NOTHING
) -> tuple[tuple[str, ...], np.ndarray]:
    """The labels, and the probability of each: (n, labels), the sum over the sets that hold it.

    Args:
        classes: a run's labels, `tlapp.load(RUN).labels`.
        probabilities: (n, classes), as the run's model gives them.
    """
    labels, inside = membership(classes, separator, nothing)
    return labels, np.asarray(probabilities) @ inside.T


class MultiLabel(Head):
    """Classes that are sets of labels, such as "red;round": one dense output a label, and a set scores the sum of its labels'.

    With independent labels, p(set) is the product of sigmoid(z) over the labels in it and of 1 - sigmoid(z) over the others: up
    to a factor that all sets share, exp of the sum of z over its labels. So a softmax over those sums is the likelihood of
    independent sigmoid outputs, given that the set is one of those in the training data, and what "red" looks like is learnt
    from every set with red in it.
    """

    contract = "1.0"

    separator: str = Field(SEPARATOR, min_length=1, description="what stands between the labels in a class's name")
    nothing: str = Field(NOTHING, description="name of the class of pictures without a label")

    def build(self, features: Any, task: Task) -> Any:
        import keras

        labels, inside = membership(task.classes, self.separator, self.nothing)
        each = keras.layers.Dense(len(labels), kernel_initializer="zeros", name="labels")
        sets = keras.layers.Dense(len(task.classes), use_bias=False, trainable=False, name="sets")
        head = keras.Sequential([keras.Input(features.shape[1:]), each, sets], name="head")
        sets.set_weights([inside])
        return head
