"""A run that keeps its last weights and remembers what each phase moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Fit, Phase
from tlapp.engine.report import Silent
from tlapp.engine.run import Run
from tlapp.engine.runs.history import Epoch
from tlapp.engine.training.phases import Phases
from tlapp.testing.subject import weights


class Moved(NamedTuple):
    """A phase, and the paths of the backbone's variables that it changed."""

    phase: Fit
    paths: frozenset[str]


class Listener(Silent):
    """A reporter that keeps the epochs."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    def epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)


class Interrupter(Listener):
    """Presses Ctrl-C when the second epoch of a phase ends."""

    def __init__(self, phase: str):
        super().__init__()
        self._phase = phase

    def epoch(self, epoch: Epoch) -> None:
        super().epoch(epoch)
        if epoch.phase == self._phase and epoch.epoch == 2:
            raise KeyboardInterrupt


class Watched(Phases):
    """Phases without early stopping, which note what each of them moved."""

    def __init__(self, *given: Any):
        super().__init__(*given)
        self.moved: list[Moved] = []

    def _judge(self, net: Any, where: Any, phase: Phase) -> Callable[[int], Epoch]:
        return lambda epoch: Epoch(phase.name, epoch, {}, {}, epoch == 0)

    def _fit(self, number: int, phase: Fit, *given: Any) -> None:
        before = weights(self.graph)
        super()._fit(number, phase, *given)
        after = weights(self.graph)
        self.moved.append(Moved(phase, frozenset(p for p in before if not np.array_equal(before[p], after[p], equal_nan=True))))


class Trial(Run):
    """A run without early stopping: validation would put earlier weights back, and hide what trained."""

    def __init__(self, job: Any, resume: bool = False, listener: Listener | None = None):
        super().__init__(job, listener or Listener(), resume, carrier=Watched)

    @property
    def moved(self) -> list[Moved]:
        """What each phase moved, so far."""
        return self.work.moved  # type: ignore[attr-defined]

    def all(self) -> None:
        """The whole run."""
        self.load()
        self.make_plan()
        self.begin()
        self.work.carry_out()
        self.finish()

    def losses(self) -> dict[str, list[float]]:
        """The sum of the loss's terms a phase, epoch by epoch."""
        found: dict[str, list[float]] = {}
        for epoch in self.reporter.epochs:  # type: ignore[attr-defined]
            found.setdefault(epoch.phase, []).append(sum(epoch.terms.values()))
        return found

    def state(self) -> dict[str, np.ndarray]:
        """Every weight of the deployed model, in the order in which it holds them."""
        # By place, not by path: Keras numbers unnamed layers through a whole process.
        return {f"weight {i} {v.shape}": v.numpy() for i, v in enumerate(self.work.model().weights)}
