"""Whether an example is like those that a model was trained on: sure enough, and near enough in feature space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts.graph import rebuild, steps
from tlapp.engine.network.deploy import without_random

OUTPUT, PROBABILITIES = "known", "probabilities"
"""What the outputs of a model with `known` are called."""
SAID = 0.5
"""From here on the output says that an example is known."""
MEANS = 4
"""A class: of 1, 4 and 12 the last two tell strangers equally well (docs/results.md)."""
ROUNDS = 15


class Known(NamedTuple):
    """A rule: known is what has a probability of at least `sure`, and a cosine to the nearest of `means` of at least `near`.

    Attributes:
        means: (n, size), of length 1.
        spread: standard deviation of the cosine among known examples, by which it is scaled.
        tail: how many operations the deployed model has behind its features.
    """

    means: np.ndarray
    sure: float
    near: float
    spread: float
    tail: int

    def calls(self, features: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Whether examples are known, (n,) bool, by features (n, size) and probabilities (n, classes)."""
        return (cosines(features, self.means) >= self.near) & (probabilities.max(1) >= self.sure)

    def arrays(self) -> dict[str, np.ndarray]:
        """As a file of arrays holds it."""
        return {"means": self.means, "rule": np.array([self.sure, self.near, self.spread]), "tail": np.array(self.tail)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Known:
        """The reverse of `arrays`."""
        sure, near, spread = map(float, arrays["rule"])
        return cls(arrays["means"], sure, near, spread, int(arrays["tail"]))


def means_of(features: np.ndarray, labels: np.ndarray, classes: int, seed: int = 0) -> np.ndarray:
    """Up to `MEANS` directions a class, (n, size), to which the features (m, size) of its examples are near.

    Spherical k-means: Dhillon and Modha 2001, Concept Decompositions, https://doi.org/10.1023/A:1007612920971.
    """
    unit, dice = unit_rows(features), np.random.default_rng(seed)
    return np.concatenate([_directions(unit[labels == label], dice) for label in range(classes) if (labels == label).any()])


def cosines(features: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Of each row of features (n, size) to the nearest mean, (n,)."""
    return (unit_rows(features) @ means.T).max(1)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows, (n, size), of length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _directions(unit: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    chosen = unit[dice.permutation(len(unit))[:MEANS]]
    for _ in range(ROUNDS):
        nearest = (unit @ chosen.T).argmax(1)
        sums = [unit[nearest == number].sum(0) if (nearest == number).any() else chosen[number] for number in range(len(chosen))]
        chosen = unit_rows(np.stack(sums))
    return chosen.astype(np.float32)


def tail_of(layer: Any, last: Any, size: int) -> int:
    """How many operations a deployed model has behind its features, of this size: those of its head and of what follows."""
    import keras

    features = keras.Input((size,))
    return len(steps(rebuild(keras.Model(features, last(layer(features))), without_random)))


def with_known(model: Any, known: Known) -> Any:
    """A deployed model with two outputs: "probabilities" (n, classes) and "known" (n, 1), from 0 to 1, known from 0.5 on.

    The second is the lesser of two margins: of the largest probability to the one that is sure enough, and of the cosine to the
    one that is near enough, in deviations. So it is smooth, and rounding moves few answers across 0.5.
    """
    import keras

    layers, (probabilities,) = keras.layers, model.outputs
    dense = layers.Dense(len(known.means), use_bias=False, name="known_cosines")
    similar = dense(layers.UnitNormalization(name="known_unit")(features_in(model, known.tail)))
    dense.set_weights([known.means.T])
    near, sure = (keras.ops.max(each, axis=-1, keepdims=True) for each in (similar, probabilities))
    factor = 0.25 / max(known.spread, 1e-6)
    margins = [
        layers.Rescaling(factor, 0.5 - known.near * factor, name="known_near")(near),
        layers.Rescaling(1.0, 0.5 - known.sure, name="known_sure")(sure),
    ]
    answer = layers.ReLU(max_value=1.0, name=OUTPUT)(layers.Minimum(name="known_margin")(margins))
    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    two = keras.Model(inputs, {PROBABILITIES: probabilities, OUTPUT: answer})
    two.jit_compile = False  # as `open_model` has it
    return two


def features_in(model: Any, tail: int) -> Any:
    """The tensor of features in a deployed model with so many operations behind it."""
    behind = steps(model)[-tail:]
    made = {id(tensor) for step in behind for tensor in step.outputs}
    return next(tensor for step in behind for tensor in step.inputs if id(tensor) not in made)
