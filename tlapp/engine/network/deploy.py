"""The deployed model: raw examples in, answers out; no part, no random layer, nothing of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlapp.contracts.graph import Step, expand, is_nested, rebuild

RANDOM = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout",
          "GaussianNoise", "DropPath")  # fmt: skip
"""Layers that do nothing when they do not train, by name: keras-cv's are among them, and it is not to be imported for that."""


def answering(activation: str, name: str = "probabilities", scale: Sequence[float] | None = None) -> Any:
    """The last layer: from a head's outputs to answers, by its activation, or by a scale: a factor and what is added then."""
    import keras

    if scale:
        return keras.layers.Rescaling(*scale, name=name)
    return keras.layers.Activation(activation, name=name)


def deployed(graph: Any, layer: Any, last: Any, names: Sequence[str] = ("image",)) -> Any:
    """One flat functional model from inputs of these names, such as "image", to answers (batch, classes) by the layer `last`."""
    import keras

    outputs = last(layer(graph.outputs[0]))
    inputs = [keras.Input(t.shape[1:], name=name, dtype=t.dtype) for name, t in zip(names, graph.inputs, strict=True)]
    return rebuild(keras.Model(graph.inputs if len(inputs) > 1 else graph.inputs[0], outputs), without_random, inputs)


def trunk_of(model: Any) -> Any:
    """The model up to the features that its head takes."""
    import keras

    return keras.Model(model.inputs, model.layers[-2].input)


def without_random(step: Step, values: dict[int, Any]) -> list[Any]:
    """Run a step, or pass its input through where it is random; nested models are opened."""
    name = type(step.operation).__name__
    if name in RANDOM or name.startswith("Random"):
        return [values[id(step.inputs[0])]]
    return expand(step, values, without_random) if is_nested(step.operation) else [*step.call(values)]
