"""Choosing a solver's setting, and calibrating its outputs, on examples that were held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Scores = Callable[[float, "np.ndarray", "np.ndarray"], "np.ndarray"]
"""(setting, training rows, held-out rows) -> outputs (held-out rows, classes)."""


class Choice(NamedTuple):
    """A setting, the temperature that its outputs are divided by, and the log loss that both had on held-out examples."""

    setting: float
    temperature: float = 1.0
    loss: float = float("inf")


def sample(n: int, limit: int) -> np.ndarray:
    """At most `limit` of `n` row numbers, in order, the same ones each time."""
    import numpy as np

    return np.sort(np.random.default_rng(0).permutation(n)[:limit])


def splits(labels: np.ndarray, folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(training rows, held-out rows) of each fold, classes spread evenly. A class's only example is always trained on."""
    import numpy as np

    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), int)
    fold[order] = np.arange(len(labels)) % folds
    fold[np.bincount(labels)[labels] == 1] = -1
    for number in range(folds):
        if (fold == number).any():
            yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def cross_validate(
    labels: np.ndarray, folds: int, grid: Sequence[float], start: float, scores: Scores, *, calibrate: bool,
    weights: np.ndarray | None = None,
) -> Choice:  # fmt: skip
    """The setting of least log loss on held-out examples; `start` where no class has two examples.

    Args:
        weights: of the examples, (n,); None where each counts as much.
    """
    import numpy as np

    divided = list(splits(labels, folds))
    if not divided:
        return Choice(start)
    held_out = np.concatenate([test for _, test in divided])
    truth, counts = labels[held_out], None if weights is None else weights[held_out]

    def evaluate(setting: float) -> Choice:
        outputs = np.concatenate([scores(setting, train, test) for train, test in divided])
        temperature = fit_temperature(outputs, truth, counts) if calibrate else 1.0
        return Choice(setting, temperature, log_loss(outputs / temperature, truth, counts))

    return walk(grid, grid.index(start), evaluate) if len(grid) > 1 else evaluate(start)


def walk(grid: Sequence[float], start: int, evaluate: Callable[[float], Choice]) -> Choice:
    """Go along the grid from `start`, both ways, while the loss falls: it has one valley, and far ends are slow to fit."""
    best = first = evaluate(grid[start])
    for step in (1, -1):
        last, at = first, start + step
        while 0 <= at < len(grid):
            found = evaluate(grid[at])
            if found.loss >= last.loss:
                break
            last, at = found, at + step
        if last.loss < best.loss:
            best = last
            break
    return best


def fit_temperature(outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature of least log loss (Guo et al. 2017, On Calibration of Modern Neural Networks)."""
    import numpy as np
    from scipy.optimize import minimize_scalar

    spread = float(outputs.std()) or 1.0
    found = minimize_scalar(
        lambda log: log_loss(outputs / np.exp(log), labels, weights),
        bounds=np.log([0.02 * spread, 50 * spread]),
        method="bounded",
    )
    return float(np.exp(found.x))


def log_loss(outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean cross-entropy of softmax(outputs), each example counting by its weight.

    Targets are smoothed by one example in n + 2, as in Platt 1999, lest a few examples without an error claim certainty.
    """
    import numpy as np
    from scipy.special import logsumexp

    smoothing = 1 / (len(labels) + 2)
    true = outputs[range(len(labels)), labels]
    target = (1 - smoothing) * true + smoothing * outputs.mean(axis=1)
    return float(np.average(logsumexp(outputs, axis=1) - target, weights=weights))
