"""Gradual."""

from __future__ import annotations

from tlapp_plugins.shared.fine_tune import FineTune

from tlapp.contracts import Backbone, Field, Fit, Plan, Rates, Task, above, when


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
        return Plan((*self.warm_up(backbone), *(self.unfreeze(backbone, n) for n in range(1, self.last + 1))))

    def unfreeze(self, backbone: Backbone, n: int) -> Fit:
        """The phase that trains the last `n` stages."""
        rates = backbone.last(n, self.decay)
        return Fit(name=f"last-{n}", rates=rates, epochs=self.epochs, learning_rate=self.learning_rate)
