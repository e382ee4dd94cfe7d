"""BitFit: a strategy for tlapp."""

from __future__ import annotations

from tlapp.contracts import Backbone, Field, Fit, Plan, Strategy, Task

SMALL = ("bias", "beta", "gamma")


def is_small(path: str) -> bool:
    """Whether a variable is a bias, or the shift or scale of a batch norm."""
    return path.rpartition("/")[2] in SMALL


class BitFit(Strategy):
    """Train the biases and the batch norms' scales and shifts in every stage, and the head; every kernel stays as it was.

    After Ben Zaken et al. 2022, https://arxiv.org/abs/2106.10199. Convolutional networks keep their biases in the batch norms
    (Frankle et al. 2021, https://arxiv.org/abs/2003.00152); the stored statistics stay, so that a batch's size does not matter.
    """

    contract = "1.0"

    epochs: int = Field(20, ge=1, description="maximum epochs after the warm-up")
    # Few variables that each act on a whole channel: they bear, and need, a higher rate than kernels do.
    learning_rate: float = Field(3e-3, gt=0, description="learning rate of biases, scales, shifts and the head")
    warmup: int = Field(20, ge=1, description="maximum epochs of training only the head first")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        warm = Fit(name="warm-up", rates=backbone.frozen(), epochs=self.warmup, learning_rate=1e-3)
        tune = Fit(
            name="bitfit",
            rates=backbone.all(),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            batch_norm="affine",
            only=is_small,
        )
        return Plan((warm, tune))
