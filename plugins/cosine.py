"""Cosine."""

from __future__ import annotations

from typing import Any

from tlapp_plugins.shared.head_layers import sequential_head

from tlapp.contracts import Field, Head, Task


class Cosine(Head):
    """Cosine similarity of the features to one learnt vector per class, times a scale."""

    scale: float = Field(32.0, gt=0, description="factor on the similarity; larger makes the probabilities sharper")

    def build(self, features: Any, task: Task) -> Any:
        import keras

        # The constraint keeps the class vectors at length 1, so that the deployed graph need not normalise them.
        vectors = keras.layers.Dense(
            len(task.classes),
            use_bias=False,
            kernel_initializer=keras.initializers.Orthogonal(),
            kernel_constraint=keras.constraints.UnitNorm(axis=0),
            name="vectors",
        )
        return sequential_head(
            features, [keras.layers.UnitNormalization(), vectors, keras.layers.Rescaling(self.scale, name="outputs")]
        )
