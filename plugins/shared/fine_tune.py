"""What the fine-tuning strategies share: a warm-up of the head, then one phase."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tlapp.contracts import Backbone, Batch, Blend, Field, Fit, Net, Phase, Plan, Rates, Strategy, Task, above, when


class FineTune(Strategy):
    """Warm up the head on the frozen backbone, then train what `rates` says.

    A random head sends large random gradients into the backbone; training it alone first keeps them out
    (LP-FT: Kumar et al. 2022, https://arxiv.org/abs/2202.10054). Blending is WiSE-FT (Wortsman et al. 2022,
    https://arxiv.org/abs/2109.01903).
    """

    contract = "1.2"
    # Texts: 2 to 4 epochs at 2e-5 to 5e-5 for all blocks (Devlin et al. 2019, https://arxiv.org/abs/1810.04805, appendix A.3).
    epochs: int = Field(10, ge=1, by_input={"text": 4}, description="maximum epochs after the warm-up")
    learning_rate: float = Field(
        1e-4, gt=0, le=10, by_input={"text": 5e-5}, description="learning rate of the last stage and the head"
    )
    warmup: int = Field(20, ge=0, description="maximum epochs of training only the head first")
    warmup_rate: float = Field(1e-3, gt=0, le=10, description="learning rate of the warm-up", when=when(warmup=above(0)))
    average: float = Field(0.0, ge=0, lt=1, description="decay of a moving average of the weights, such as 0.99; 0: none")
    blend: int = Field(0, ge=0, description="mixtures of the weights before and after tuning to choose from on val; 0: none")
    l2_sp: float = Field(0.0, ge=0, description="strength of the pull towards the pre-trained weights; 0: none")

    @abstractmethod
    def rates(self, backbone: Backbone) -> Rates:
        """What trains after the warm-up."""

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        return Plan(self.phases(backbone))

    def phases(self, backbone: Backbone) -> tuple[Phase, ...]:
        """The warm-up, and what follows it."""
        rates = self.rates(backbone)
        return (*self.warm_up(backbone), self.tune("tune", rates), *self.blended("tune", rates))

    def tune(self, name: str, rates: Rates, **more: Any) -> Fit:
        """A phase that fine-tunes, as the options say."""
        if self.l2_sp:
            more = {"loss": L2SP(self.l2_sp), "weight_decay": 0.0, **more}
        return Fit(
            name=name, rates=rates, epochs=self.epochs, learning_rate=self.learning_rate, average=self.average, **more
        )  # fmt: skip

    def blended(self, since: str, rates: Rates) -> tuple[Blend, ...]:
        """The phase that looks back to where a phase began, or nothing where it is not asked for."""
        return (Blend(name="blend", since=since, rates=rates, steps=self.blend),) if self.blend else ()

    def warm_up(self, backbone: Backbone) -> tuple[Fit, ...]:
        """The warm-up, or nothing where it has no epochs."""
        warm = Fit(
            name="warm-up", rates=backbone.frozen(), epochs=max(self.warmup, 1), learning_rate=self.warmup_rate, graft_rate=0
        )  # fmt: skip
        return (warm,) if self.warmup else ()


@dataclass(frozen=True)
class L2SP:
    """The head's loss, and `pull`, instead of weight decay."""

    strength: float

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        return {"loss": net.task_loss(batches["train"]), "pull": pull(net, self.strength)}


def pull(net: Net, strength: float) -> Any:
    """L2-SP: strength / 2 * sum |w - w0|^2 over the backbone's weights that train; w0 are those at the start of the phase.

    Li et al. 2018, https://arxiv.org/abs/1802.01483.
    """
    import keras

    gaps = [keras.ops.sum((weight.value - weight.start) ** 2) for weight in net.weights() if not weight.path.startswith("head/")]
    return strength / 2 * sum(gaps)
