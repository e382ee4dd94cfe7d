"""Labels that are numbers, such as a weight or an age: what a model answers is a number as well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tlapp.engine.data.metrics import number_metrics
from tlapp.engine.data.tables import Labels

NAME = "value"
"""What the one output is called, where classes have names."""
BINS = 10
"""Labels are ordered, and divided into so many parts of equal size, to be split by the same shares."""
SMALLEST_BIN = 10
"""Examples that such a part holds at least."""
ALIKE = 0.05
"""Answers that differ by less than this share of their standard deviation say the same."""


class Number:
    """An example has a number; a model is trained on numbers of mean 0 and deviation 1, and answers in the labels' own unit.

    Args:
        deviation, mean: of the labels to train on.
    """

    kind, takes, differ, answer = "number", "a number as the label", "numbers", "number"
    output, headline = NAME, "r2"
    cells: Labels = "needed"

    def __init__(self, deviation: float = 1.0, mean: float = 0.0):
        self.scale: tuple[float, float] | None = (deviation, mean)

    def fault(self, label: str) -> str:
        try:
            known = math.isfinite(float(label))
        except ValueError:
            known = False
        return "" if known else f"with this head a label must be a number, such as 3 or 0.25. Received: {label or 'nothing'}"

    def text(self, label: str | None) -> str:
        return label or ""

    def fitted(self, numbers: np.ndarray) -> Number:
        return Number(float(numbers.std()) or 1.0, float(numbers.mean()))

    def names(self, label: str | None) -> tuple[str, ...]:
        return (NAME,)

    def numbers(self, labels: Sequence[str | None], classes: Sequence[str]) -> np.ndarray:
        return np.array([float(label or "nan") for label in labels], np.float64)

    def words(self, numbers: np.ndarray, classes: Sequence[str]) -> list[str]:
        return [str(number).removesuffix(".0") for number in numbers]

    def hot(self, numbers: np.ndarray, classes: int) -> np.ndarray:
        raise TypeError("numbers name no class")

    def groups(self, numbers: np.ndarray) -> np.ndarray:
        parts = min(BINS, max(1, len(numbers) // SMALLEST_BIN))
        bounds = np.quantile(numbers, np.arange(1, parts) / parts)
        return np.searchsorted(bounds, numbers, side="right")

    def strata(self, labels: Sequence[str | None]) -> list[str]:
        """By which of `BINS` parts of the ordered labels a label lies in."""
        return [str(part) for part in self.groups(self.numbers(labels, ()))] if labels else []

    def soft(self, numbers: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
        deviation, mean = self.scale or (1.0, 0.0)
        return ((numbers - mean) / deviation).astype(np.float32)[:, None]

    def weights(self, numbers: np.ndarray, classes: int) -> np.ndarray:
        return np.ones(len(numbers))

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        return probabilities[:, 0]

    def likelihood(self, probabilities: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Minus the error: the nearer, the more likely."""
        return -self.doubt(probabilities, numbers)

    def doubt(self, probabilities: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return np.abs(probabilities[:, 0] - numbers)

    def same(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.abs(one[:, 0] - other[:, 0]) <= ALIKE * self.unit(one)

    def unit(self, answers: np.ndarray) -> float:
        return float(answers.std()) or 1.0

    def metrics(
        self, probabilities: np.ndarray, numbers: np.ndarray, classes: Sequence[str], intervals: bool = True
    ) -> dict[str, Any]:
        return number_metrics(probabilities[:, 0], numbers, intervals)
