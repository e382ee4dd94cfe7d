"""Heads: from features to one output a class."""

from __future__ import annotations

from typing import Any

from tlapp.contracts import Field, Head, Task


class Linear(Head):
    """One dense layer on the features."""

    dropout: float = Field(0.0, ge=0, lt=1, description="share of the features left out at random while training")

    def build(self, features: Any, task: Task) -> Any:
        import keras

        # Zeros start every class at the same probability: no random head shakes the backbone in the first steps.
        dense = keras.layers.Dense(len(task.classes), kernel_initializer="zeros", name="outputs")
        return _chain([*_dropout(self.dropout), dense])


def _dropout(rate: float) -> list[Any]:
    import keras

    return [keras.layers.Dropout(rate)] if rate else []


def _chain(layers: list[Any]) -> Any:
    import keras

    return layers[0] if len(layers) == 1 else keras.Sequential(layers, name="head")
