"""A run that keeps its last weights and remembers what each phase moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Fit
from tlapp.engine.report import Silent
from tlapp.engine.run import Run
from tlapp.engine.runs.history import Epoch
from tlapp.engine.training.kinds import kind_of
from tlapp.engine.training.phases import Phases
from tlapp.engine.training.selection import loss_of
from tlapp.engine.training.session import Slot


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

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.moved: list[Moved] = []
        self.judged: dict[str, list[float | None]] = {}

    def judge(self, net: Any, slot: Slot, validates: bool, predicts: Any = None) -> Callable[[int], Epoch]:
        phase, judge = slot.phase, super().judge(net, slot, validates, predicts)

        def unseen(epoch: int) -> Epoch:
            """Note what the phase would choose by, and let it go on as if nothing chose."""
            self.judged.setdefault(phase.name, []).append(loss_of(judge(epoch), phase.select))
            return Epoch(phase.name, epoch, {}, {}, epoch == 0)

        return unseen

    def carry_out_slot(self, slot: Slot) -> None:
        before = weights(self.graph)
        super().carry_out_slot(slot)
        after = weights(self.graph)
        if kind_of(slot.phase).trains:
            paths = frozenset(path for path in before if not np.array_equal(before[path], after[path], equal_nan=True))
            self.moved.append(Moved(slot.phase, paths))  # type: ignore[arg-type]


class Trial(Run):
    """A run without early stopping: validation would put earlier weights back, and hide what trained."""

    def __init__(self, job: Any, resume: bool = False, listener: Listener | None = None):
        super().__init__(job, listener or Listener(), resume, carrier=Watched)

    @property
    def moved(self) -> list[Moved]:
        """What each phase moved, so far."""
        return self.work.moved  # type: ignore[attr-defined]

    @property
    def judged(self) -> dict[str, list[float | None]]:
        """What each phase would have chosen its best weights by, lower is better, its beginning first; None: by nothing."""
        return self.work.judged  # type: ignore[attr-defined]

    def all(self) -> None:
        """The whole run."""
        self.load()
        self.prepare()
        self.begin()
        self.work.carry_out()
        self.finish()

    def losses(self) -> dict[str, list[dict[str, float]]]:
        """The terms of the loss of each phase that trains by gradients, epoch by epoch."""
        by_phase: dict[str, list[dict[str, float]]] = {}
        fits = {slot.phase.name for slot in self.work.slots if kind_of(slot.phase).name == "fit"}
        for epoch in self.reporter.epochs:  # type: ignore[attr-defined]
            if epoch.phase in fits:
                by_phase.setdefault(epoch.phase, []).append(dict(epoch.terms))
        return by_phase

    def state(self) -> dict[str, np.ndarray]:
        """Every weight of the deployed model, in the order in which it holds them."""
        # By place, not by path: Keras numbers unnamed layers through a whole process.
        return {f"weight {i} {v.shape}": v.numpy() for i, v in enumerate(self.work.model().weights)}


def weights(graph: Any) -> dict[str, np.ndarray]:
    """Path -> value of every variable of a graph, random states excepted."""
    return {v.path: v.numpy() for layer in graph.layers for v in layer.weights if "seed" not in v.path}
