"""The deployed model: raw examples in, answers out; no part, no random layer, nothing of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlapp.contracts.graph import Step, expand, is_nested, rebuild

RANDOM = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout",
          "GaussianNoise", "DropPath")  # fmt: skip
"""Layers that do nothing when they do not train, by name: keras-cv's are among them, and it is not to be imported for that."""


TEMPERATURE, THRESHOLDS = "temperature", "thresholds"
"""The layers that divide a head's outputs where these are calibrated, and that shift them where labels have thresholds."""


def answering(
    activation: str, name: str = "probabilities", scale: Sequence[float] | None = None, temperature: float = 1.0,
    shift: Sequence[float] = (),
) -> Any:  # fmt: skip
    """From a head's outputs to answers: its activation, or a scale: a factor and what is added then.

    Args:
        temperature: by what the outputs are divided before the activation.
        shift: what is then added to each; none where it is empty.

    Returns:
        A layer; where there is a temperature, a function that applies two.
    """
    import keras

    if scale:
        return keras.layers.Rescaling(*scale, name=name)
    last = keras.layers.Activation(activation, name=name)
    if temperature == 1 and not shift:
        return last
    name = THRESHOLDS if shift else TEMPERATURE
    changed = keras.layers.Rescaling(1 / temperature, [*map(float, shift)] if shift else 0.0, name=name)
    return lambda outputs: last(changed(outputs))


def deployed(graph: Any, layer: Any, last: Any, names: Sequence[str] = ("image",)) -> Any:
    """One flat functional model from inputs of these names, such as "image", to answers (batch, classes) by the layer `last`."""
    import keras

    outputs = last(layer(graph.outputs[0]))
    inputs = [keras.Input(t.shape[1:], name=name, dtype=t.dtype) for name, t in zip(names, graph.inputs, strict=True)]
    return rebuild(keras.Model(graph.inputs if len(inputs) > 1 else graph.inputs[0], outputs), without_random, inputs)


def trunk_of(model: Any) -> Any:
    """The model up to the features that its head takes, which is one layer."""
    import keras

    return keras.Model(model.inputs, head_of(model).input)


def head_of(model: Any) -> Any:
    """The one layer that makes outputs of features in a deployed model."""
    return model.layers[-3 if _divides(model.layers[-2]) else -2]


def answers_of(model: Any) -> Any:
    """What makes answers of the outputs of a deployed model's head, as `answering` does."""
    divided, last = model.layers[-2:]
    return (lambda outputs: last(divided(outputs))) if _divides(divided) else last


def _divides(layer: Any) -> bool:
    return layer.name in (TEMPERATURE, THRESHOLDS)


def without_random(step: Step, values: dict[int, Any]) -> list[Any]:
    """Run a step, or pass its input through where it is random; nested models are opened."""
    name = type(step.operation).__name__
    if name in RANDOM or name.startswith("Random"):
        return [values[id(step.inputs[0])]]
    return expand(step, values, without_random) if is_nested(step.operation) else [*step.call(values)]
