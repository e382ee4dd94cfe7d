"""A learning rate range test: train a little while the rate rises, and look where the loss falls.

Smith 2015, Cyclical Learning Rates for Training Neural Networks, https://arxiv.org/abs/1506.01186, section 3.3. The middle of the
valley is taken, as by the rule of fastai, https://docs.fast.ai/callback.schedule.html; here a valley begins where the loss
falls, not at the lowest rate that was tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tlapp.engine.options import RunOptions
from tlapp.engine.training.fit_kind import FitKind
from tlapp.engine.training.kinds import kind_of
from tlapp.engine.training.phases import Phases
from tlapp.engine.training.session import Slot
from tlapp.engine.training.steps import BLOCK_BYTES, Steps

LOW, HIGH, STEPS = 1e-6, 1.0, 100
"""The first and last rate, and in how many steps it gets from one to the other."""
WIDTH = 4.0
"""Steps: the deviation of the window in which losses are averaged."""
BEGUN, HARDLY = 0.1, 0.02
"""Share of the fall that is done where a valley begins; and the least fall, as a share of the least loss."""
TOO_HIGH = 4.0
"""A loss of so many times the least one ends the test: the rate is too high."""
LEAST, RECENT = 10, 5
"""Losses that tell a valley; and those by whose mean the test is ended."""


class Rising(Steps):
    """Steps whose learning rate rises from LOW to HIGH, one call a step."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self._width = BLOCK_BYTES

    def schedule(self, rate: float, options: RunOptions) -> Any:
        import keras

        return keras.optimizers.schedules.ExponentialDecay(LOW * rate, STEPS - 1, HIGH / LOW)


class RateSearch(Phases):
    """Tests rates in one phase, on weights that nothing has trained: those that a warm-up leaves have little to lose, and a loss
    that hardly falls does not tell rates apart. What does not train by gradient is carried out before it.

    Attributes:
        rates, losses: of the steps of the test.
    """

    def seek(self, number: int) -> None:
        """Test rates in the phase of that number; nothing after it is carried out."""
        self.slots = self.slots[: number + 1]
        self.rates, self.losses = list[float](), list[float]()

    def carry_out_slot(self, slot: Slot) -> None:
        if slot is not self.slots[-1]:
            return None if kind_of(slot.phase).trains else super().carry_out_slot(slot)
        net, feeds = FitKind().prepared(self, slot)
        options: RunOptions = self.job.options
        size = next(iter(feeds.values())).size
        epochs = -(-STEPS // max(1, size // min(options.batch_size, size)))
        phase: Any = replace(slot.phase, epochs=epochs, average=0.0)  # type: ignore[call-arg]
        steps, best = Rising(net, phase, feeds, options, options.seed), float("inf")
        for epoch in itertools.count(1):
            for _, sums in steps.blocks(epoch, 0):
                loss = float(sums.sum())
                smooth = float(np.mean([*self.losses[1 - RECENT :], loss]))
                if smooth > TOO_HIGH * best or not np.isfinite(loss) or len(self.losses) == STEPS:
                    return None
                self.rates.append(LOW * (HIGH / LOW) ** (len(self.rates) / (STEPS - 1)))
                self.losses.append(loss)
                best = min(best, smooth)
                self.reporter.progress("learning rates", len(self.rates), STEPS)
        return None

    def tell(self, epoch: Any) -> bool:
        """Nothing is recorded, and nothing stops."""
        return False

    def pause(self) -> None:
        """Nothing is kept."""


def smoothed(losses: Sequence[float]) -> np.ndarray:
    """Losses, (n,), each averaged with its neighbours on both sides, nearer ones counting more."""
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * (np.subtract.outer(steps, steps) / WIDTH) ** 2)
    return weights @ np.asarray(losses) / weights.sum(axis=1)


def valley(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The middle, on a logarithmic scale, of the way down: from where a tenth of the whole fall is done, to the least loss.

    None where the loss hardly falls.
    """
    if len(losses) < LEAST:
        return None
    smooth = smoothed(losses)
    end = int(smooth.argmin())
    fall = float(smooth[: end + 1].max() - smooth[end])
    start = int(np.flatnonzero(smooth[: end + 1] >= smooth[end] + (1 - BEGUN) * fall)[-1])
    if fall < HARDLY * abs(smooth[end]) or end - start < 2:
        return None
    return float(np.sqrt(rates[start] * rates[end]))
