"""The best weights so far: of a phase, and of all that the target judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlapp.engine.runs.checkpoint import values
from tlapp.engine.runs.history import Epoch


class Best:
    """The best weights so far, by validation loss or, where the target selects, its score; those at the start count too.

    Args:
        variables: what is kept.
        loss: of the values that they have now, lower is better; None where it is yet to be judged.
    """

    def __init__(self, variables: Sequence[Any], loss: float | None = None):
        self._variables = variables
        self.loss, self.epoch = float("inf") if loss is None else loss, 0
        self.kept = values(variables)

    def begin(self, judged: Epoch) -> None:
        """Take the judgement of the weights that a phase begins with, unless better ones are known."""
        self.loss, self.epoch = min(self.loss, _loss(judged, self.loss)), 0

    def update(self, judged: Epoch) -> bool:
        """Keep the present weights if they are better, or if there is no telling; say whether they were kept."""
        loss = _loss(judged, -float("inf"))
        better = loss < self.loss
        if better:
            self.loss = self.loss if loss == -float("inf") else loss
            self.epoch = judged.epoch
            self.take()
        return better

    def take(self) -> None:
        """Keep the present weights."""
        self.kept = values(self._variables)

    def restore(self) -> None:
        """Put the kept weights back."""
        for variable, value in zip(self._variables, self.kept, strict=True):
            variable.assign(value)


class Liked:
    """The weights that the target's score has liked best since a phase first took statistics from there; false before that."""

    def __init__(self) -> None:
        self._best: Best | None = None
        self._when = ""

    def __bool__(self) -> bool:
        return self._best is not None

    @property
    def kept(self) -> Sequence[Any]:
        """Their values; empty where there are none."""
        return self._best.kept if self._best else ()

    def begin(self, variables: Sequence[Any], phase: str, judged: Epoch, kept: Sequence[Any] = ()) -> None:
        """Take the weights before a phase: those that the variables now have, or `kept`."""
        self._best, self._when = Best(variables), f"before phase {phase}"
        self._best.kept = list(kept) or self._best.kept
        self._best.begin(judged)

    def offer(self, phase: str, loss: float) -> None:
        """Take what a phase ended with, if its score is the best so far: what follows may spoil it unseen."""
        if self.hear(phase, loss) and self._best:
            self._best.take()

    def hear(self, phase: str, loss: float) -> bool:
        """Take note of a phase's score, and say whether it is the best so far."""
        if self._best is None or loss >= self._best.loss:
            return False
        self._best.loss, self._when = loss, f"after phase {phase}"
        return True

    def forget(self) -> None:
        """Let what comes be chosen by another measure."""
        self._best = None

    def restore(self, lead: float) -> str:
        """Put the weights back, if their score is better than that of the last phase; say when they were, "" if not."""
        if self._best is None or self._best.loss >= lead:
            return ""
        self._best.restore()
        return self._when


def _loss(judged: Epoch, otherwise: float) -> float:
    """What the best weights are chosen by, lower is better; `otherwise` where there is nothing to go by."""
    return -judged.target["score"] if judged.target else judged.validation.get("loss", otherwise)
