"""Several labels per picture."""

from __future__ import annotations

from typing import Any

from tlapp_plugins.shared.head_layers import dropout_layers, output_layer, sequential_head

from tlapp.contracts import Field, Head, Task


class MultiLabel(Head):
    """Any number of labels per picture, each with its own probability."""

    contract = "1.2"
    labels = "many"
    activation = "sigmoid"

    focus: float = Field(
        0.0, ge=0, description="focal loss: how much less is learnt from what is right already; 0 for cross-entropy"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the features dropped at random while training (dropout)")

    def build(self, features: Any, task: Task) -> Any:
        return sequential_head(features, [*dropout_layers(self.dropout), output_layer(task)])

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Binary cross-entropy, or its focal form (Lin et al. 2017, https://arxiv.org/abs/1708.02002), averaged over labels."""
        import keras

        if self.focus == 0:
            return super().loss(labels, outputs)
        return keras.losses.binary_focal_crossentropy(labels, outputs, gamma=self.focus, from_logits=True)
