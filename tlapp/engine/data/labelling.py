"""What the label of an example stands for: one class, a set of them (`classes`), or a number (`numbers`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from tlapp.engine.data.classes import Many, One
from tlapp.engine.data.numbers import Number
from tlapp.engine.data.tables import Labels


class Labelling(Protocol):
    """A way to read labels. "Numbers" are the labels of n examples as a stream holds them; "answers" are a model's outputs."""

    kind: str
    """ "one", "many" or "number", as a head's `labels` and plan.json say it."""
    takes: str
    """What an example has, in words."""
    cells: Labels
    """What a CSV's column label must hold."""
    differ: str
    """What a data set needs two of."""
    answer: str
    """What the answer to a picture is called."""
    output: str
    """What the output of an exported model is called."""
    headline: str
    """The metric that stands for all others: higher is better, and 1 is the best."""
    scale: tuple[float, float] | None
    """By what outputs are multiplied, and what is added then, to be answers; None where an activation makes answers of them."""

    def fault(self, label: str) -> str:
        """What is wrong with a label, in words; "" where nothing is."""
        ...

    def text(self, label: str | None) -> str:
        """A label, written in the one way that equal labels share."""
        ...

    def fitted(self, numbers: np.ndarray) -> Labelling:
        """The same, with the scale of the labels to train on."""
        ...

    def same(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Which answers, (n, classes) each, say the same: (n,) bool."""
        ...

    def unit(self, answers: np.ndarray) -> float:
        """How large a difference between answers, (n, classes), counts as 1."""
        ...

    def names(self, label: str | None) -> tuple[str, ...]:
        """The classes that a label names."""
        ...

    def numbers(self, labels: Sequence[str | None], classes: Sequence[str]) -> np.ndarray:
        """Labels as numbers: of classes, (n,) int32; multi-hot, (n, classes) bool; or what they say, (n,) float64."""
        ...

    def words(self, numbers: np.ndarray, classes: Sequence[str]) -> list[str]:
        """The reverse of `numbers`: labels as a CSV holds them."""
        ...

    def hot(self, numbers: np.ndarray, classes: int) -> np.ndarray:
        """Whether a picture is of a class, (n, classes) bool; not for numbers, which name no class."""
        ...

    def groups(self, numbers: np.ndarray) -> np.ndarray:
        """A number for each picture, (n,), equal where all its labels are."""
        ...

    def strata(self, labels: Sequence[str | None]) -> list[str]:
        """For each picture what it is split among: every stratum is split by the same shares."""
        ...

    def soft(self, numbers: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
        """Labels to train on, (n, classes) float32, a share `smoothing` of each spread over its possible outcomes."""
        ...

    def weights(self, numbers: np.ndarray, classes: int) -> np.ndarray:
        """Weights of pictures, (n,), by those of their classes."""
        ...

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """The answers to (n, classes) probabilities, as numbers."""
        ...

    def likelihood(self, probabilities: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """How probable labels are by (n, classes) probabilities: (n,)."""
        ...

    def doubt(self, probabilities: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """By how much probabilities, (n, classes), would have to change for the answers to be `numbers`: (n,)."""
        ...

    def metrics(
        self, probabilities: np.ndarray, numbers: np.ndarray, classes: Sequence[str], intervals: bool = True
    ) -> dict[str, Any]:
        """The metrics of a split; `intervals`: with those that take a while to draw."""
        ...


ONE: Labelling = One()
LABELLINGS: dict[str, Labelling] = {"one": ONE, "many": Many(), "number": Number()}
ACTIVATIONS = {"one": ("softmax", "sigmoid"), "many": ("sigmoid",), "number": ("linear",)}
"""Labelling -> the activations that a head may have."""


def unfit(head: Any) -> str:
    """What is wrong with a head's `labels`; "" where nothing is."""
    if head.labels not in LABELLINGS:
        return f"its labels must be one of {', '.join(LABELLINGS)}. Received: {head.labels!r}"
    if head.activation not in (able := ACTIVATIONS[head.labels]):
        wanted = " or ".join(f'"{name}"' for name in able)
        return f'with labels = "{head.labels}" its activation must be {wanted}. Received: {head.activation!r}'
    return ""
