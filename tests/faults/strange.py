"""Strategies for the harness: what none of the built-in ones does."""

from __future__ import annotations

from typing import Any

from tlapp_plugins.shared.solvers import Logistic

from tlapp.contracts import Backbone, Field, Fit, Plan, Solve, Strategy, Task


class SolveThenTune(Strategy):
    """Solve for the head, then train it and the last stage: the solved head has to survive a resume, and a second one."""

    epochs: int = Field(6, ge=1, description="epochs of the tuning")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        solved = Solve(name="solved", rates=backbone.frozen(), solver=Logistic(folds=2, penalty=1.0))
        return Plan((solved, Fit(name="tune", rates=backbone.last(1), epochs=self.epochs, learning_rate=1e-3)))


class Draws(Strategy):
    """A loss that draws from Keras's own random generator."""

    epochs: int = Field(8, ge=1, description="epochs")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        return Plan((Fit(name="draws", rates=backbone.last(1), epochs=self.epochs, learning_rate=1e-3, loss=noisy),))


class TurnsBad(Strategy):
    """A loss that is no number from a place of the phase on."""

    epochs: int = Field(6, ge=1, description="epochs")
    at: float = Field(0.5, ge=0, le=1, description="share of the phase")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        return Plan((Fit(name="bad", rates=backbone.last(1), epochs=self.epochs, learning_rate=1e-3, loss=self.loss),))

    def loss(self, net: Any, batch: Any) -> dict[str, Any]:
        import keras

        return {"task": net.task_loss(batch["train"]) * keras.ops.where(net.progress >= self.at, float("nan"), 1.0)}


def noisy(net: Any, batch: Any) -> dict[str, Any]:
    """The task's loss on features that are shaken."""
    import keras

    features = net.features(batch["train"].x)
    shaken = features + keras.random.normal(keras.ops.shape(features), stddev=0.1)
    logits = net.head(shaken)
    return {"noisy": keras.ops.mean(keras.losses.categorical_crossentropy(batch["train"].y, logits, from_logits=True))}


STRATEGIES = {"solve-then-tune": SolveThenTune, "draws": Draws, "turns-bad": TurnsBad}
