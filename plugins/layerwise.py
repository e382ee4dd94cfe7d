"""Layerwise."""

from __future__ import annotations

from tlapp_plugins.shared.fine_tune import FineTune

from tlapp.contracts import Backbone, Field, Rates, when


class Layerwise(FineTune):
    """Train every stage: early ones slowly, middle ones faster, late ones fastest."""

    learning_rate: float = Field(
        1e-3, gt=0, le=10, by_input={"text": 1e-4}, description="learning rate of the late third of the stages and the head"
    )
    early: float = Field(
        0.01, gt=0, le=1, description="learning-rate factor of the early third: 0.01 x 1e-3 = 1e-5", when=when(decay=None)
    )
    middle: float = Field(
        0.1, gt=0, le=1, description="learning-rate factor of the middle third: 0.1 x 1e-3 = 1e-4", when=when(decay=None)
    )
    # Texts: 1 / 2.6 (ULMFiT, Howard & Ruder 2018, https://arxiv.org/abs/1801.06146, section 3.2).
    decay: float | None = Field(
        None,
        gt=0,
        le=1,
        by_input={"text": 0.385},
        description="learning-rate factor per stage towards the input, instead of thirds",
    )

    def rates(self, backbone: Backbone) -> Rates:
        if self.decay is not None:
            return backbone.all(self.decay)
        count = len(backbone.stages)
        thirds = (self.early, self.middle, 1.0)
        # Counted from the output, so that a single stage is a late one.
        return {stage.name: thirds[2 - (count - 1 - i) * 3 // count] for i, stage in enumerate(backbone.stages)}
