"""Several labels per picture."""

from __future__ import annotations

from typing import Any

from tlapp_plugins.shared.head_layers import dropout_layers, output_layer, sequential_head

from tlapp.contracts import Field, Head, Task, when


class MultiLabel(Head):
    """Any number of labels per picture, each with its own probability."""

    contract = "1.2"
    labels = "many"
    activation = "sigmoid"

    focus: float = Field(
        0.0, ge=0, description="focal loss: how much less is learnt from what is right already; 0 for cross-entropy"
    )
    precision: float | None = Field(
        None, gt=0, lt=1, description="answer a label from where this share of its answers on val is right; by default above 0.5"
    )
    recall: float | None = Field(
        None, gt=0, lt=1, description="answer a label so often that this share of its pictures in val is found",
        when=when(precision=None),
    )  # fmt: skip
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the features dropped at random while training (dropout)")

    def build(self, features: Any, task: Task) -> Any:
        return sequential_head(features, [*dropout_layers(self.dropout), output_layer(task)])

    def thresholds(self, probabilities: Any, labels: Any) -> Any:
        if self.precision is None and self.recall is None:
            return None
        import numpy as np

        return np.array([self._threshold(scores, true) for scores, true in zip(probabilities.T, labels.T, strict=True)])

    def _threshold(self, scores: Any, true: Any) -> float:
        """For one label, by its scores (n,) and whether it is there, (n,) bool: 0.5 where it never is."""
        import numpy as np

        if not true.any():
            return 0.5
        ordered = np.sort(np.unique(scores))[::-1]
        right = np.array([(true & (scores >= score)).sum() for score in ordered])
        answered = np.array([(scores >= score).sum() for score in ordered])
        if self.precision is not None:  # of those that are precise enough, the one that finds most; or else the most precise
            good = np.flatnonzero(right / answered >= self.precision)
            place = int(good[-1]) if len(good) else int((right / answered).argmax())
        else:
            place = int(np.flatnonzero(right / true.sum() >= (self.recall or 0.0))[0])
        below = ordered[place + 1] if place + 1 < len(ordered) else 0.0
        return float((ordered[place] + below) / 2)

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Binary cross-entropy, or its focal form (Lin et al. 2017, https://arxiv.org/abs/1708.02002), averaged over labels."""
        import keras

        if self.focus == 0:
            return super().loss(labels, outputs)
        return keras.losses.binary_focal_crossentropy(labels, outputs, gamma=self.focus, from_logits=True)
