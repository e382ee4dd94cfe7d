"""What the fine-tuning strategies share: a warm-up of the head, then one phase."""

from __future__ import annotations

from abc import abstractmethod

from tlapp.contracts import Backbone, Field, Fit, Plan, Rates, Strategy, Task, above, when


class FineTune(Strategy):
    """Warm up the head on the frozen backbone, then train what `rates` says.

    A random head sends large random gradients into the backbone; training it alone first keeps them out
    (Kumar et al. 2022, https://arxiv.org/abs/2202.10054).
    """

    contract = "1.2"
    epochs: int = Field(10, ge=1, description="maximum epochs after the warm-up")
    learning_rate: float = Field(1e-4, gt=0, description="learning rate of the last stage and the head")
    warmup: int = Field(20, ge=0, description="maximum epochs of training only the head first")
    warmup_rate: float = Field(1e-3, gt=0, description="learning rate of the warm-up", when=when(warmup=above(0)))

    @abstractmethod
    def rates(self, backbone: Backbone) -> Rates:
        """What trains after the warm-up."""

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        return Plan(self.phases(backbone))

    def phases(self, backbone: Backbone) -> tuple[Fit, ...]:
        """The warm-up, and what follows it."""
        tune = Fit(name="tune", rates=self.rates(backbone), epochs=self.epochs, learning_rate=self.learning_rate)
        return (*self.warm_up(backbone), tune)

    def warm_up(self, backbone: Backbone) -> tuple[Fit, ...]:
        """The warm-up, or nothing where it has no epochs."""
        warm = Fit(name="warm-up", rates=backbone.frozen(), epochs=max(self.warmup, 1), learning_rate=self.warmup_rate)
        return (warm,) if self.warmup else ()
