"""Regression."""

from __future__ import annotations

from typing import Any

from tlapp_plugins.shared.head_layers import dropout_layers, output_layer, sequential_head

from tlapp.contracts import Field, Head, Task


class Regression(Head):
    """One number per picture, such as a weight or an age: the labels are numbers."""

    contract = "1.2"
    labels = "number"
    activation = "linear"
    hidden: int = Field(0, ge=0, description="units of a hidden layer; 0: none")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the features dropped at random while training (dropout)")
    outliers: float = Field(
        0.0, ge=0, description="errors above so many standard deviations count linearly (Huber); 0: all squared"
    )

    def build(self, features: Any, task: Task) -> Any:
        import keras

        hidden = [keras.layers.Dense(self.hidden, activation="relu", name="hidden")] if self.hidden else []
        return sequential_head(features, [*hidden, *dropout_layers(self.dropout), output_layer(task)])

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Squared error, or Huber's loss (Huber 1964, https://doi.org/10.1214/aoms/1177703732), in standard deviations."""
        import keras

        if not self.outliers:
            return super().loss(labels, outputs)
        return 2 * keras.losses.huber(labels, outputs, delta=self.outliers)
