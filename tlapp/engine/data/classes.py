"""Labels that name classes: one a picture, or any number of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tlapp.engine.data.metrics import metrics, set_metrics
from tlapp.engine.data.tables import Labels

SEPARATOR = ";"
COMMON = 20
"""Pictures with the same set of labels that are split as a class of their own."""
IMBALANCE = 3.0
"""Classes that differ by more than this factor are weighted."""
SURE = 0.5
"""A label is answered above this probability."""


class ByClass:
    """What labels that name classes have in common."""

    output, headline = "probabilities", "accuracy"
    scale: tuple[float, float] | None = None

    def fault(self, label: str) -> str:
        return ""

    def unit(self, answers: np.ndarray) -> float:
        return 1.0


class One(ByClass):
    """A picture is of one class; its label is the class's name."""

    kind, takes, differ, answer = "one", "one label an example", "classes", "top label"
    cells: Labels = "needed"

    def fitted(self, numbers: np.ndarray) -> One:
        return self

    def text(self, label: str | None) -> str:
        return label or ""

    def same(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return self.decide(one) == self.decide(other)

    def names(self, label: str | None) -> tuple[str, ...]:
        return (label or "",)

    def numbers(self, labels: Sequence[str | None], classes: Sequence[str]) -> np.ndarray:
        number = {name: i for i, name in enumerate(classes)}
        return np.array([number[label or ""] for label in labels], np.int32)

    def words(self, numbers: np.ndarray, classes: Sequence[str]) -> list[str]:
        return [classes[int(i)] for i in numbers]

    def hot(self, numbers: np.ndarray, classes: int) -> np.ndarray:
        return np.eye(classes, dtype=bool)[numbers]

    def groups(self, numbers: np.ndarray) -> np.ndarray:
        return numbers

    def strata(self, labels: Sequence[str | None]) -> list[str]:
        return [label or "" for label in labels]

    def soft(self, numbers: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
        hot = np.eye(classes, dtype=np.float32)[numbers]
        return (hot * (1 - smoothing) + smoothing / classes).astype(np.float32)

    def weights(self, numbers: np.ndarray, classes: int) -> np.ndarray:
        return class_weights(numbers, classes)[numbers]

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        return probabilities.argmax(1)

    def likelihood(self, probabilities: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return probabilities[np.arange(len(numbers)), numbers]

    def doubt(self, probabilities: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return probabilities.max(1) - self.likelihood(probabilities, numbers)

    def metrics(
        self, probabilities: np.ndarray, numbers: np.ndarray, classes: Sequence[str], intervals: bool = True
    ) -> dict[str, Any]:
        return metrics(probabilities, numbers, classes, intervals)


class Many(ByClass):
    """A picture is of any number of classes; its label is their names with ";" between, or nothing for none."""

    kind, takes, differ, answer = "many", "several labels an example", "sets of labels", "set of labels"
    cells: Labels = "sets"

    def fitted(self, numbers: np.ndarray) -> Many:
        return self

    def text(self, label: str | None) -> str:
        return SEPARATOR.join(self.names(label))

    def same(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return (self.decide(one) == self.decide(other)).all(1)

    def names(self, label: str | None) -> tuple[str, ...]:
        return tuple(sorted({part.strip() for part in (label or "").split(SEPARATOR)} - {""}))

    def numbers(self, labels: Sequence[str | None], classes: Sequence[str]) -> np.ndarray:
        number = {name: i for i, name in enumerate(classes)}
        hot = np.zeros((len(labels), len(classes)), bool)
        for row, label in zip(hot, labels, strict=True):
            row[[number[name] for name in self.names(label)]] = True
        return hot

    def words(self, numbers: np.ndarray, classes: Sequence[str]) -> list[str]:
        return [SEPARATOR.join(classes[int(i)] for i in np.flatnonzero(row)) for row in numbers]

    def hot(self, numbers: np.ndarray, classes: int) -> np.ndarray:
        return numbers

    def groups(self, numbers: np.ndarray) -> np.ndarray:
        return np.unique(numbers, axis=0, return_inverse=True)[1].reshape(-1)

    def strata(self, labels: Sequence[str | None]) -> list[str]:
        """The set of labels where it is common, else the rarest label in it.

        The rarest first is how Sechidis et al. 2011 (https://doi.org/10.1007/978-3-642-23808-6_10) stratify sets of labels.
        """
        sets = [self.names(label) for label in labels]
        pictures = Counter(sets)
        counts = Counter(name for names in sets for name in names)

        def stratum(names: tuple[str, ...]) -> str:
            rarest = min(names, key=lambda name: (counts[name], name), default="")
            return SEPARATOR.join(names) if pictures[names] >= COMMON else rarest

        return [stratum(names) for names in sets]

    def soft(self, numbers: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
        return (numbers.astype(np.float32) * (1 - smoothing) + smoothing / 2).astype(np.float32)

    def weights(self, numbers: np.ndarray, classes: int) -> np.ndarray:
        """The mean weight of a picture's classes; 1 where it has none."""
        count = numbers.sum(1)
        total = numbers @ class_weights(np.nonzero(numbers)[1], classes)
        return np.where(count > 0, total / np.maximum(count, 1), 1.0)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        return probabilities > SURE

    def likelihood(self, probabilities: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Of the whole set, as if one class told nothing of another."""
        return np.where(numbers, probabilities, 1 - probabilities).prod(1)

    def doubt(self, probabilities: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return np.where(self.decide(probabilities) != numbers, np.abs(probabilities - SURE), 0.0).max(1)

    def metrics(
        self, probabilities: np.ndarray, numbers: np.ndarray, classes: Sequence[str], intervals: bool = True
    ) -> dict[str, Any]:
        return set_metrics(probabilities, numbers, self.decide(probabilities), classes, intervals)


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """A weight a class, (classes,): inverse to its count and 1 on the average label, or all 1 where they differ little."""
    counts = np.bincount(labels, minlength=classes).astype(float)
    seen = counts[counts > 0]
    if seen.max() <= IMBALANCE * seen.min():
        return np.ones(classes)
    return np.where(counts > 0, len(labels) / (len(seen) * np.maximum(counts, 1)), 0.0)
