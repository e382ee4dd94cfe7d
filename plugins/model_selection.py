"""Choosing a solver's setting by cross-validation, and calibrating its outputs, on held-out scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Scores = Callable[[float, "np.ndarray", "np.ndarray"], "np.ndarray"]
"""(setting, training rows, held-out rows) -> outputs (held-out rows, classes)."""


class Choice(NamedTuple):
    """A setting, its log loss on held-out examples, and the temperature that outputs are divided by."""

    setting: float
    loss: float
    temperature: float = 1.0


def sample(labels: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` row numbers, drawn with a fixed seed."""
    import numpy as np

    rows = np.random.default_rng(0).permutation(len(labels))[:limit]
    return np.sort(rows)


def assign_folds(labels: np.ndarray, folds: int) -> np.ndarray:
    """The fold that holds each example out, classes spread evenly; -1 for a class's only example, which is always trained on."""
    import numpy as np

    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), int)
    fold[order] = np.arange(len(labels)) % folds
    fold[np.bincount(labels)[labels] == 1] = -1
    return fold


def choose(grid: Sequence[float], start: int, evaluate: Callable[[float], Choice]) -> Choice:
    """Walk the grid from `start` towards lower loss until it rises on both sides; of equals the earlier one wins."""
    found = {start: evaluate(grid[start])}
    for step in (1, -1):
        at = start + step
        while 0 <= at < len(grid) and at not in found:
            found[at] = evaluate(grid[at])
            if found[at].loss >= found[at - step].loss:
                break
            at += step
    return min(found.values(), key=lambda choice: choice.loss)
