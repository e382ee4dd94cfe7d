"""Freeze."""

from __future__ import annotations

from tlapp.contracts import Backbone, Field, Fit, Plan, Strategy, Task


class Freeze(Strategy):
    """Train only the head; the whole backbone stays frozen."""

    epochs: int = Field(100, ge=1, description="maximum epochs; nearly free, because the features are computed once")
    learning_rate: float = Field(1e-3, gt=0, description="learning rate of the head")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        return Plan((Fit(name="head", rates=backbone.frozen(), epochs=self.epochs, learning_rate=self.learning_rate),))
