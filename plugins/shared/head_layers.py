"""What heads are made of: built-in Keras layers only, so that a saved model opens anywhere."""

from __future__ import annotations

from typing import Any

from tlapp.contracts import Task


def output_layer(task: Task) -> Any:
    """A dense layer with one output a class, all equal at first: no random head shakes a living backbone in the first steps."""
    import keras

    return keras.layers.Dense(len(task.classes), kernel_initializer="zeros", name="outputs")


def dropout_layers(rate: float) -> list[Any]:
    """A dropout layer; none where the rate is 0."""
    import keras

    return [keras.layers.Dropout(rate)] if rate else []


def sequential_head(features: Any, layers: list[Any]) -> Any:
    """The layers one after the other, from features (batch, size)."""
    import keras

    return keras.Sequential([keras.Input(features.shape[1:]), *layers], name="head")
