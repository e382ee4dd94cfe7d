"""Mlp."""

from __future__ import annotations

from typing import Annotated, Any

from tlapp_plugins.shared.head_layers import dropout_layers, output_layer, sequential_head

from tlapp.contracts import Field, Head, Task

Size = Annotated[int, Field(ge=1)]


class Mlp(Head):
    """Hidden layers with dropout, then a dense layer."""

    hidden: tuple[Size, ...] = Field((256,), min_length=1, description="sizes of the hidden layers, from features to outputs")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of each hidden layer dropped at random while training (dropout)")

    def build(self, features: Any, task: Task) -> Any:
        import keras

        layers: list[Any] = []
        for size in self.hidden:
            layers.append(keras.layers.Dense(size, activation="relu", kernel_initializer="he_normal"))
            layers.extend(dropout_layers(self.dropout))
        return sequential_head(features, [*layers, output_layer(task)])
