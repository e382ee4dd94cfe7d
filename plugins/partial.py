"""Partial."""

from __future__ import annotations

from tlapp_plugins.shared.fine_tune import FineTune

from tlapp.contracts import Backbone, Field, Rates, above, when


class Partial(FineTune):
    """Train the head and the last stages of the backbone; the rest stays frozen."""

    last: int = Field(2, ge=1, description="stages to train, counted from the output")
    # Texts, 1e-4 and 4 epochs: emoji 0.819, against 0.809 at 3e-4 and 8 epochs (docs/results.md, "Texts").
    # 20 epochs at 1e-3: digits 0.986, against 0.971 after 10, and 0.967 at 5e-4 (docs/results.md).
    epochs: int = Field(20, ge=1, by_input={"text": 4}, description="maximum epochs after the warm-up")
    learning_rate: float = Field(
        1e-3, gt=0, le=10, by_input={"text": 1e-4}, description="learning rate of the last stage and the head"
    )
    decay: float = Field(
        1.0, gt=0, le=1, by_input={"text": 0.95}, description="learning-rate factor per stage towards the input",
        when=when(last=above(1)),
    )  # fmt: skip

    def rates(self, backbone: Backbone) -> Rates:
        return backbone.last(self.last, self.decay)
