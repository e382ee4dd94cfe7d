"""Full."""

from __future__ import annotations

from tlapp_plugins.shared.fine_tune import FineTune

from tlapp.contracts import Backbone, Field, Rates


class Full(FineTune):
    """Train every stage, at a low rate."""

    decay: float = Field(1.0, gt=0, le=1, description="learning-rate factor per stage towards the input")

    def rates(self, backbone: Backbone) -> Rates:
        return backbone.all(self.decay)
