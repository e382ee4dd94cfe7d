"""A learning rate range test: train a little while the rate rises, and look where the loss falls.

Smith 2015, Cyclical Learning Rates for Training Neural Networks, https://arxiv.org/abs/1506.01186, section 3.3. The rule by which
a rate is chosen is that of the longest valley: https://docs.fast.ai/callback.schedule.html, `valley`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tlapp.engine.options import RunOptions
from tlapp.engine.training.fit_kind import FitKind
from tlapp.engine.training.phases import Phases
from tlapp.engine.training.session import Slot
from tlapp.engine.training.steps import BLOCK_BYTES, Steps

LOW, HIGH, STEPS = 1e-6, 1.0, 100
"""The first and last rate, and in how many steps it gets from one to the other."""
KEPT = 0.9
"""Share of the past in each loss of the curve, which is a moving average."""
TOO_HIGH = 4.0
"""A loss of so many times the least one ends the test: the rate is too high."""
LEAST = 10
"""Losses that tell a valley."""


class Rising(Steps):
    """Steps whose learning rate rises from LOW to HIGH, one call a step."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self._width = BLOCK_BYTES

    def schedule(self, rate: float, options: RunOptions) -> Any:
        import keras

        return keras.optimizers.schedules.ExponentialDecay(LOW * rate, STEPS - 1, HIGH / LOW)


class RateSearch(Phases):
    """Carries out the phases before one, and tests rates in that.

    Attributes:
        rates, losses: of the steps of the test.
    """

    def seek(self, number: int) -> None:
        """Test rates in the phase of that number; nothing after it is carried out."""
        self.slots = self.slots[: number + 1]
        self.rates, self.losses = list[float](), list[float]()

    def carry_out_slot(self, slot: Slot) -> None:
        if slot is not self.slots[-1]:
            return super().carry_out_slot(slot)
        net, feeds = FitKind().prepared(self, slot)
        options: RunOptions = self.job.options
        size = next(iter(feeds.values())).size
        epochs = -(-STEPS // max(1, size // min(options.batch_size, size)))
        phase: Any = replace(slot.phase, epochs=epochs, average=0.0)  # type: ignore[call-arg]
        steps, best = Rising(net, phase, feeds, options, options.seed), float("inf")
        for epoch in itertools.count(1):
            for _, sums in steps.blocks(epoch, 0):
                loss = float(sums.sum())
                smooth = moving_average([*self.losses, loss])[-1] if np.isfinite(loss) else float("inf")
                if smooth > TOO_HIGH * best or not np.isfinite(loss) or len(self.losses) == STEPS:
                    return None
                self.rates.append(LOW * (HIGH / LOW) ** (len(self.rates) / (STEPS - 1)))
                self.losses.append(loss)
                best = min(best, smooth)
                self.reporter.progress("learning rates", len(self.rates), STEPS)
        return None

    def tell(self, epoch: Any) -> None:
        """Nothing is recorded."""

    def pause(self) -> None:
        """Nothing is kept."""


def moving_average(losses: Sequence[float]) -> np.ndarray:
    """The average of each loss and those before it, older ones counting less and less; (n,)."""
    sums, weights, averages = 0.0, 0.0, []
    for loss in losses:
        sums, weights = KEPT * sums + loss, KEPT * weights + 1
        averages.append(sums / weights)
    return np.array(averages)


def valley(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The middle, on a logarithmic scale, of the longest way down that the losses take; None where they hardly go down.

    A way down is a sequence of steps, not each next to the last, of which each has a lower loss than the one before.
    """
    if len(losses) < LEAST:
        return None
    smooth = moving_average(losses)
    lengths, before = np.ones(len(smooth), int), np.arange(len(smooth))
    for now in range(1, len(smooth)):
        higher = np.flatnonzero(smooth[:now] > smooth[now])
        if len(higher):
            last = higher[lengths[higher].argmax()]
            lengths[now], before[now] = lengths[last] + 1, last
    at = end = int(lengths.argmax())
    if lengths[end] < LEAST:
        return None
    while before[at] != at:
        at = int(before[at])
    return float(np.sqrt(rates[at] * rates[end]))
