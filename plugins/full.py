"""Full."""

from __future__ import annotations

from tlapp_plugins.shared.fine_tune import FineTune

from tlapp.contracts import Backbone, Field, Rates


class Full(FineTune):
    """Train every stage, at a low rate."""

    # Texts: Sun et al. 2019, https://arxiv.org/abs/1905.05583, section 5.3.
    decay: float = Field(1.0, gt=0, le=1, by_input={"text": 0.95}, description="learning-rate factor per stage towards the input")

    def rates(self, backbone: Backbone) -> Rates:
        return backbone.all(self.decay)
