"""Train one phase by gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.network.net import PhaseNet
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.checkpoint import State, assign, values
from tlapp.engine.runs.history import Epoch
from tlapp.engine.training.feeds import Feed
from tlapp.engine.training.score import collapsed
from tlapp.engine.training.selection import Best
from tlapp.engine.training.steps import Trainer
from tlapp.errors import PluginError, UserError

Judge = Callable[[int], Epoch]


class Fitting:
    """A phase that trains by gradient, under way; it can be captured and restored between any two blocks of steps.

    Args:
        net: what trains.
        feeds: the phase's streams, the pacing one first.
        options: batch size, patience, schedule, clipping, weight decay.
        seed: of the order of the pictures; the phase's number is part of it.
        judge: epoch -> how the net as it stands does on what selects the best weights.
        best: the best weights of earlier alternatives; None for those that the net has.
    """

    def __init__(
        self, net: PhaseNet, feeds: Mapping[str, Feed], options: RunOptions, seed: int, judge: Judge, best: Best | None = None
    ):
        self.trainer = Trainer(net, feeds, options, seed)
        self.net, self.judge, self.patience = net, judge, options.patience
        self.best = best or Best(net.state())
        self.epoch, self.step, self.sums = 0, 0, np.zeros(0)
        self.diverged = False
        _global_seed()  # made here, as a variable cannot be made inside the compiled function
        self.first = judge(0)
        self.best.begin(self.first)

    def capture(self, also: list[Any]) -> dict[str, Any]:
        """What `restore` needs, by the names of `state.State`; `also` are variables that earlier phases changed."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "terms": {name: float(v) for name, v in zip(self.trainer.names, self.sums, strict=False)},
            "best": (self.best.loss, self.best.epoch),
            "variables": values([*also, *self.variables()]),
            "kept": self.best.kept,
        }

    def restore(self, state: State, also: list[Any], where: Path) -> None:
        """Go back to where a capture was made.

        Raises:
            UserError: it was made of another network.
        """
        assign([*also, *self.variables()], state.variables, where)
        if [kept.shape for kept in state.kept] != [kept.shape for kept in self.best.kept]:
            raise UserError(f"{where}: the checkpoint does not fit this network; train again from the start")
        self.best.kept, (self.best.loss, self.best.epoch) = state.kept, state.best
        self.epoch, self.step = state.epoch, state.step
        self.trainer.names, self.sums = list(state.terms), np.array(list(state.terms.values()), np.float32)

    def variables(self) -> list[Any]:
        """Everything that training changes, random states and optimizers included."""
        return [*self.net.variables(), *self.trainer.variables(), _global_seed()]

    def run(self, tell: Callable[[Epoch], None], report: Callable[[str, int, int], None], pause: Callable[[], None]) -> str:
        """Train on to the phase's end, or until what selects stops getting better; leaves the best weights in the net.

        Args:
            tell: told every epoch.
            report: told (phase, steps done, steps of the phase).
            pause: called between two blocks, when everything is as `variables` and the attributes say.

        Returns:
            Why an adaptation was given up, in words; "" where it was not.

        Raises:
            UserError, PluginError: the loss is no longer a finite number, and there is nothing to fall back to; the best
                weights are back in the net.
        """
        trainer, name, given_up = self.trainer, self.net.phase.name, ""
        if self.first.target and self.epoch == self.step == 0:
            tell(self.first)
        while self.epoch < self.net.phase.epochs and not self._waited_enough():
            for done, sums in trainer.blocks(self.epoch + 1, self.step):
                if self.first.target and not np.all(np.isfinite(sums)):
                    given_up = "the loss is no longer a finite number"
                    break
                self._must_be_finite(sums, done)
                self.sums = sums if self.step == 0 else self.sums + sums
                self.step = done
                report(name, self.epoch * trainer.steps + done, trainer.total)
                pause()
            if given_up:
                break
            line = self._end_epoch()
            tell(line)
            if self._collapsed(line):
                given_up = "nearly every target picture is said to be of one class"
                break
            pause()
        report(name, trainer.total, trainer.total)
        self.best.restore()
        return given_up

    def _collapsed(self, line: Epoch) -> bool:
        """Whether the net answers one class where it did not when the phase began."""
        if line.said is None or self.first.said is None:
            return False
        return collapsed(line.said) and not collapsed(self.first.said)

    def _end_epoch(self) -> Epoch:
        # The names stay as they were restored, where the last block was trained before.
        terms = {name: float(v) / self.trainer.steps for name, v in zip(self.trainer.names, self.sums, strict=True)}
        self.epoch, self.step, self.sums = self.epoch + 1, 0, np.zeros(0)
        judged = self.judge(self.epoch)
        return judged._replace(terms=terms, best=self.best.update(judged))

    def _must_be_finite(self, sums: np.ndarray, done: int) -> None:
        """Stop before anything of a block whose loss is no number is kept."""
        bad = [name for name, value in zip(self.trainer.names, sums, strict=True) if not np.isfinite(value)]
        if not bad:
            return
        self.best.restore()
        self.diverged, phase = True, self.net.phase
        steps = f"step {done}" if done == self.step + 1 else f"steps {self.step + 1} to {done}"
        where = f"phase {phase.name}, epoch {self.epoch + 1}, {steps}: the loss {', '.join(bad)} is no longer a finite number"
        if phase.loss is None:
            raise UserError(f"{where}; a lower option learning_rate (now {phase.learning_rate}) is the usual cure")
        raise PluginError(f"{where}; it comes from the strategy's own loss")

    def _waited_enough(self) -> bool:
        judges = bool(self.first.validation or self.first.target)
        return judges and self.epoch - self.best.epoch >= self.patience


def _global_seed() -> Any:
    """The state of the generator behind `keras.random` where a loss or layer brings none of its own."""
    from keras.src.random.seed_generator import global_seed_generator

    return global_seed_generator().state
