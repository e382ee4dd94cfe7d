"""What the strategies for another domain share: learn the source first, then adapt, and let the target select."""

from __future__ import annotations

from tlapp_plugins.fine_tune import FineTune

from tlapp.contracts import Backbone, Field, Fit, Rates

PAIR = ("train", "target")


class Adapt(FineTune):
    """Train on the source; then adapt to the target, keeping what a score without labels says is best."""

    last: int = Field(2, ge=0, description="stages to train, counted from the output; 0 trains the head alone")
    decay: float = Field(1.0, gt=0, le=1, description="learning-rate factor a stage towards the input")
    warmup: int = Field(20, ge=1, description="epochs that first train the head alone, at most")
    source_epochs: int = Field(5, ge=0, description="epochs that train the stages on the source alone, at most")
    epochs: int = Field(15, ge=1, description="epochs of adapting, at most")
    learning_rate: float = Field(5e-4, gt=0, description="learning rate of the last stage and the head")

    def rates(self, backbone: Backbone) -> Rates:
        return backbone.last(self.last, self.decay)

    def source(self, backbone: Backbone) -> tuple[Fit, ...]:
        """The phases that make the source-only model."""
        if not (self.last and self.source_epochs):
            return self.warm_up(backbone)
        tune = Fit(name="source", rates=self.rates(backbone), epochs=self.source_epochs, learning_rate=self.learning_rate)
        return (*self.warm_up(backbone), tune)
