"""Train one phase by gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tlapp.engine.runs.checkpoint import Pack, assign, values
from tlapp.engine.runs.history import Epoch
from tlapp.engine.training.feeds import Judge
from tlapp.engine.training.score import collapsed
from tlapp.engine.training.selection import Selection
from tlapp.engine.training.steps import Steps
from tlapp.errors import PluginError, UserError


class Diverged(Exception):
    """The loss is no longer a finite number, and there is nothing to fall back to; `error` is what to raise."""

    def __init__(self, error: UserError | PluginError):
        super().__init__(str(error))
        self.error = error


class Fitting:
    """A phase that trains by gradient, under way; it can be packed and unpacked between any two blocks of steps.

    Args:
        steps: how the phase trains.
        patience: epochs without better weights before it stops; None to go on to its end.
        judge: epoch -> how the net as it stands does on what selects the best weights.
        best: keeps the best weights.
        ending: (first epoch, last) -> whether weights are kept because the phase came to its end with them; None for never.
    """

    def __init__(
        self, steps: Steps, patience: int | None, judge: Judge, best: Selection,
        ending: Callable[[Epoch, Epoch], bool] | None = None,
    ):  # fmt: skip
        self.steps, self.phase, self.judge, self.best, self.patience = steps, steps.phase, judge, best, patience
        self.ending = ending
        self.epoch, self.step, self.sums = 0, 0, np.zeros(0)
        self.first = Epoch(self.phase.name, 0, {}, {}, True)

    def begin(self) -> None:
        """Judge the weights that the phase begins with."""
        self.first = self.judge(0)
        self.best.begin(self.first)

    def pack(self) -> Pack:
        terms = {name: float(v) for name, v in zip(self.steps.names, self.sums, strict=False)}
        first = {"validation": dict(self.first.validation), "target": dict(self.first.target)}
        answers = [] if self.first.answers is None else [self.first.answers]
        start = self.steps.start()
        counts = {"answers": len(answers), "start": len(start)}
        facts = {"epoch": self.epoch, "step": self.step, "terms": terms, "first": first, **counts}
        return Pack(facts, [*answers, *start, *values(self.steps.state())])

    def unpack(self, pack: Pack) -> None:
        count, begin = int(pack.facts["answers"]), int(pack.facts["answers"]) + int(pack.facts.get("start", 0))
        if begin > count:
            self.steps.begin_from(pack.arrays[count:begin])
        assign(self.steps.state(), pack.arrays[begin:])
        self.epoch, self.step = int(pack.facts["epoch"]), int(pack.facts["step"])
        self.steps.names = list(pack.facts["terms"])
        self.sums = np.array(list(pack.facts["terms"].values()), np.float32)
        self.first = self.first._replace(**pack.facts["first"], answers=pack.arrays[0] if count else None)

    def run(self, tell: Callable[[Epoch], bool], report: Callable[[str, int, int], None], pause: Callable[[], None]) -> str:
        """Train on to the phase's end, or until what selects stops getting better; leaves the best weights in the net.

        Args:
            tell: told every epoch; says whether to stop.
            report: told (phase, steps done, steps of the phase).
            pause: called between two blocks, when everything is as `pack` says.

        Returns:
            Why an adaptation was given up, in words; "" where it was not.

        Raises:
            Diverged: the loss is no longer a finite number; the best weights are back in the net.
        """
        steps, reason = self.steps, ""
        if self.first.target and self.epoch == self.step == 0:
            tell(self.first)
        stop = False
        while not (reason or stop) and self.epoch < self.phase.epochs and not self._waited_enough():
            reason = self._train_epoch(report, pause)
            if not reason:
                epoch = self._end_epoch()
                stop = tell(epoch)
                reason = "nearly all target examples were assigned to one class" if self._collapsed(epoch) else ""
            if not reason:
                pause()
        report(self.phase.name, steps.total, steps.total)
        self.best.restore()
        return reason

    def _train_epoch(self, report: Callable[[str, int, int], None], pause: Callable[[], None]) -> str:
        """Train the rest of an epoch; why it was given up, "" where it was not."""
        steps = self.steps
        for done, sums in steps.blocks(self.epoch + 1, self.step):
            if self.first.target and not np.all(np.isfinite(sums)):
                return "the loss is no longer a finite number"
            self._must_be_finite(sums, done)
            self.sums = sums if self.step == 0 else self.sums + sums
            self.step = done
            report(self.phase.name, self.epoch * steps.steps + done, steps.total)
            pause()
        return ""

    def _collapsed(self, epoch: Epoch) -> bool:
        """Whether the net answers one class where it did not when the phase began."""
        if epoch.answers is None or self.first.answers is None:
            return False
        return collapsed(epoch.answers) and not collapsed(self.first.answers)

    def _end_epoch(self) -> Epoch:
        # The names stay as they were unpacked, where the last block was trained before.
        terms = {name: float(v) / self.steps.steps for name, v in zip(self.steps.names, self.sums, strict=True)}
        self.epoch, self.step, self.sums = self.epoch + 1, 0, np.zeros(0)
        with self.steps.averaged():
            judged = self.judge(self.epoch)
            is_best = self.best.offer_epoch(judged)
            if self.ending and self.epoch == self.phase.epochs and self.ending(self.first, judged):
                is_best = self.best.take(judged)
            return judged._replace(terms=terms, best=is_best)

    def _must_be_finite(self, sums: np.ndarray, done: int) -> None:
        """Stop before anything of a block whose loss is no number is kept."""
        bad = [name for name, value in zip(self.steps.names, sums, strict=True) if not np.isfinite(value)]
        if not bad:
            return
        self.best.restore()
        phase = self.phase
        steps = f"step {done}" if done == self.step + 1 else f"steps {self.step + 1} to {done}"
        what = f"phase {phase.name}, epoch {self.epoch + 1}, {steps}: the loss {', '.join(bad)} is no longer a finite number"
        if phase.loss is None:
            raise Diverged(UserError(f"{what}; a lower option learning_rate (now {phase.learning_rate}) usually helps"))
        raise Diverged(PluginError(f"{what}; the loss is the strategy's own"))

    def _waited_enough(self) -> bool:
        """Early stopping: whether `patience` epochs have passed since the best one."""
        if self.patience is None:
            return False
        judges = self.best.measure(self.first) is not None
        return judges and self.epoch - self.best.epoch >= self.patience
