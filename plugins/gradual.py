"""Gradual."""

from __future__ import annotations

from tlapp_plugins.shared.fine_tune import FineTune

from tlapp.contracts import Backbone, Field, Plan, Rates, Task, above, when


class Gradual(FineTune):
    """Unfreeze one stage after the other, from the output, with a phase for each (Howard & Ruder 2018)."""

    last: int = Field(3, ge=1, description="number of stages to unfreeze, counted from the output")
    epochs: int = Field(4, ge=1, description="maximum epochs per newly unfrozen stage")
    decay: float = Field(
        0.4, gt=0, le=1, description="learning-rate factor per stage towards the input", when=when(last=above(1))
    )

    def rates(self, backbone: Backbone) -> Rates:
        return backbone.last(self.last, self.decay)

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        self.rates(backbone)
        steps = (self.tune(f"last-{n}", backbone.last(n, self.decay)) for n in range(1, self.last + 1))
        return Plan((*self.warm_up(backbone), *steps, *self.blended("last-1", self.rates(backbone))))
