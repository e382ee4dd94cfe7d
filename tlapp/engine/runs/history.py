"""The epochs of a run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # so that the command line starts without NumPy
    import numpy as np

    from tlapp.engine.runs.checkpoint import Pack


class Epoch(NamedTuple):
    """A line of history.

    Attributes:
        epoch: from 1; 0 is how a phase that the target selects begins.
        terms: the loss's, averaged.
        validation: {"loss", "accuracy"} or empty.
        best: whether the weights are the best so far.
        target: what can be said of the target without its labels, or empty.
        answers: the class of each target example, (n,) int16; None where it was not looked at.
    """

    phase: str
    epoch: int
    terms: Mapping[str, float]
    validation: Mapping[str, float]
    best: bool
    target: Mapping[str, float] = MappingProxyType({})
    answers: np.ndarray | None = None


class History:
    """The epochs so far."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    def pack(self) -> Pack:
        answers = [epoch.answers for epoch in self.epochs if epoch.answers is not None]
        from tlapp.engine.runs.checkpoint import Pack

        return Pack({"epochs": [_row(epoch) for epoch in self.epochs]}, answers)

    def unpack(self, pack: Pack) -> None:
        answers = iter(pack.arrays)
        epochs = [Epoch(*row) for row in pack.facts["epochs"]]
        self.epochs = [epoch._replace(answers=next(answers)) if epoch.target else epoch for epoch in epochs]


def _row(epoch: Epoch) -> list[object]:
    return [epoch.phase, epoch.epoch, dict(epoch.terms), dict(epoch.validation), epoch.best, dict(epoch.target)]
