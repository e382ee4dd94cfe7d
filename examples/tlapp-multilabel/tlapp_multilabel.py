"""Several labels a picture: a head for tlapp."""

from __future__ import annotations

from typing import Any

from tlapp.contracts import Field, Head, Task


class MultiLabel(Head):
    """Any number of labels per picture, each with its own probability."""

    contract = "1.1"
    labels = "many"
    activation = "sigmoid"

    focus: float = Field(
        0.0, ge=0, description="focal loss: how much less is learnt from what is right already; 0 for cross-entropy"
    )

    def build(self, features: Any, task: Task) -> Any:
        import keras

        # Zeros: at first each label is as likely as not, and no random head shakes a living backbone.
        return keras.layers.Dense(len(task.classes), kernel_initializer="zeros", name="outputs")

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Binary cross-entropy, or its focal form (Lin et al. 2017, https://arxiv.org/abs/1708.02002), averaged over labels."""
        import keras

        if self.focus == 0:
            return super().loss(labels, outputs)
        return keras.losses.binary_focal_crossentropy(labels, outputs, gamma=self.focus, from_logits=True)
