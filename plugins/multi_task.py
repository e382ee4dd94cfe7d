"""Multi-task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from tlapp_plugins.partial import Partial
from tlapp_plugins.shared.fine_tune import pull

from tlapp.contracts import Backbone, Batch, Field, Net, Plan, Task, UserError, when

BOTH = ("train", "aux")
SPEED = 20.0
"""How much faster than a weight of the network an uncertainty learns, to be at its best after some 80 steps."""


class MultiTask(Partial):
    """Train the last stages on two labelled sets at once, data and aux, each with its own head."""

    contract = "1.2"
    balance: Literal["uncertainty", "fixed"] = Field(
        "uncertainty", description="how the two losses are weighted: by learnt uncertainties, or by option aux_weight"
    )
    aux_weight: float | None = Field(
        None, gt=0, description="weight of the loss on the second set; 1 by default", when=when(balance="fixed")
    )

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        if task.labels == "number":
            raise UserError("has numbers as labels; this strategy learns two sets of classes", option="head")
        uncertain = {"uncertainty": log_variances} if self.balance == "uncertainty" else {}
        loss = Together(None if uncertain else self.aux_weight or 1.0, self.l2_sp)
        parts = {"aux": AuxHead(len(task.aux_classes)), **uncertain}
        fits = (*self.warm_up(backbone), self.tune("tune", self.rates(backbone)))
        both = (replace(phase, streams=BOTH, loss=loss, parts=parts) for phase in fits)
        return Plan((*both, *self.blended("tune", self.rates(backbone))))


@dataclass(frozen=True)
class AuxHead:
    """Makes the second task's head: features -> one output a class, all equal at first."""

    classes: int

    def __call__(self) -> Any:
        import keras

        return keras.layers.Dense(self.classes, kernel_initializer="zeros")


def log_variances() -> Any:
    """Makes a layer that answers anything with log(sigma^2) of each task, (2,), zeros at first."""
    import keras

    class LogVariances(keras.Layer):
        """Two numbers, learnt `SPEED` times as fast as others: Adam's steps are of one size whatever the gradient's."""

        def build(self, shape: Any) -> None:
            self.value = self.add_weight(shape=(len(BOTH),), initializer="zeros", name="value")

        def call(self, x: Any) -> Any:
            return SPEED * self.value

    return LogVariances()


def uncertainty(losses: Any, log_variance: Any) -> Any:
    """sum_i exp(-s_i) L_i + s_i / 2, with s_i = log(sigma_i^2): a scalar, of two vectors (tasks,).

    Kendall et al. 2018, https://arxiv.org/abs/1705.07115: the form for cross-entropies (its equation 10, second term), with s
    instead of sigma, as its section 3.2 advises, since it can then be any number. Least at exp(s_i) = 2 L_i.
    """
    import keras

    return keras.ops.sum(keras.ops.exp(-log_variance) * losses + log_variance / 2.0)


@dataclass(frozen=True)
class Together:
    """Both tasks' losses, as they are, and as "balance" what weighing them changes about their sum.

    Attributes:
        aux_weight: of the second loss; None weighs both by `uncertainty`.
        l2_sp: strength of the pull towards the weights at the start of the phase; 0 for none.
    """

    aux_weight: float | None
    l2_sp: float = 0.0

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        import keras

        ops = keras.ops
        train, aux = (batches[name] for name in BOTH)
        losses = ops.stack([net.task_loss(train), net.task_loss(aux, net.part("aux")(net.features(aux.x)))])
        if self.aux_weight is None:
            log_variance = net.part("uncertainty")(losses)
            whole, ratio = uncertainty(losses, log_variance), ops.exp(log_variance[0] - log_variance[1])
        else:
            whole, ratio = losses[0] + self.aux_weight * losses[1], ops.convert_to_tensor(self.aux_weight)
        pulls = {"pull": pull(net, self.l2_sp)} if self.l2_sp else {}
        terms = {"loss": losses[0], "aux": losses[1], "balance": whole - ops.sum(losses)}
        return {**terms, **pulls, "aux_weight": ops.stop_gradient(ratio)}
