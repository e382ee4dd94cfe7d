"""A strategy of one phase, with what a test asks for."""

from __future__ import annotations

from typing import Any

from tlapp.contracts import Field, Fit, Plan, Strategy
from tlapp.testing import TinyBackbones


class Tunes(Strategy):
    """Train the last stage with what the tests ask for."""

    fit: dict[str, Any] = Field({}, description="of the phase")
    after: tuple[Any, ...] = Field((), description="makers of further phases")

    def plan(self, task, backbone):
        tune = Fit(**{"name": "tune", "rates": backbone.last(1), "epochs": 3, "learning_rate": 1e-2, **self.fit})
        return Plan((tune, *(make(backbone) for make in self.after)))


def kernel(run):
    return run.backbone.graph.get_layer("top_conv").kernel.numpy()


def lines(run, phase="tune"):
    return [epoch for epoch in run.work.history.epochs if epoch.phase == phase]


def untrained_kernel():
    """The kernel of the last stage before any training."""
    return TinyBackbones().load("tiny").graph.get_layer("top_conv").kernel.numpy()
