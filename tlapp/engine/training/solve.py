"""Find a head in closed form on features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Solve, Teachable, Weighted
from tlapp.engine.data.classes import class_weights
from tlapp.engine.network.sources import Source, Views
from tlapp.errors import PluginError
from tlapp.words import shortened

Memory = Mapping[str, np.ndarray]
"""What a solver that can be taught more remembers of its examples."""


def solve(phase: Solve, given: Sequence[tuple[Source, np.ndarray]], classes: int, weigh: bool) -> tuple[Any, str, Memory]:
    """The head's layer, built by the phase's solver on the features of every row and of each stored view, what it says of it,
    and what it remembers.

    Args:
        given: streams, and the labels of their rows; those of the first say what a class weighs.
        weigh: whether rare classes count as much as others, where they differ much and the solver can do it.

    Raises:
        PluginError: the solver returned no built Keras layer, or one of another size.
    """
    import keras

    parts = [(source.take(np.arange(len(labels)), view)[0], labels) for source, labels in given for view in range(_views(source))]
    features, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    memory: Memory = {}
    solver = phase.solver
    weights = class_weights(given[0][1], classes)[labels] if weigh else np.ones(len(labels))
    if isinstance(solver, Weighted) and (weights != 1).any():
        solver = solver.weighted(weights)
    if isinstance(solver, Teachable):
        memory = remembered(solver.learn(None, features, labels, classes))
        layer, sentence = solver.layer(memory), ""
    else:
        layer, sentence = solver(features, labels, classes), ""
    if isinstance(layer, tuple) and len(layer) == 2 and isinstance(layer[1], str):
        layer, sentence = layer
    if not isinstance(layer, keras.Layer):
        raise PluginError(
            f"phase {phase.name}: a solver must return a built Keras layer, or a pair of it and a sentence. Received: {layer!r}"
        )
    shape = tuple(layer(keras.ops.convert_to_tensor(features[:2])).shape)
    if shape != (2, classes):
        raise PluginError(f"phase {phase.name}: the solver's layer must give (batch, {classes}). Received: {shape}")
    return layer, sentence, memory


def _views(source: Source) -> int:
    return len(source.views) if isinstance(source, Views) else 1


def remembered(memory: Any) -> Memory:
    """What a solver's `learn` returned, checked.

    Raises:
        PluginError: it is no mapping of names to arrays of numbers.
    """
    if not isinstance(memory, Mapping) or not all(
        isinstance(name, str) and isinstance(array, np.ndarray) and array.dtype.kind in "biuf" for name, array in memory.items()
    ):
        raise PluginError(f"its solver's learn() must return arrays of numbers by name. Received: {shortened(memory)}")
    return memory
