"""How a model seems to do on the target, judged without its labels.

Scores of that kind reward sure answers, and methods that make answers sure win by them, right or wrong. Here all models are made
equally sure before they are compared: then it only counts whether the answers tell pictures apart, and use all classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tlapp.errors import PluginError
from tlapp.words import shortened

Score = Callable[[np.ndarray, float], float]
"""(probabilities (n, classes), accuracy on val) -> a score, higher is better."""
SURENESS = 0.5
"""The mean entropy at which models are compared, over its largest value. From 0.3 to 0.6 it chooses the same on the data of
docs/domains.md."""
LOYALTY = 0.1
"""What the accuracy on the source counts beside the rest: enough against models that have forgotten what the labels taught."""
COLLAPSED = 0.99
"""Share of one class among the answers from which they are no longer answers."""


class Look(NamedTuple):
    """What a model says of the target: `terms` with "score" among them, and the class of each picture, (n,) int16."""

    terms: dict[str, float]
    answers: np.ndarray


def look(probabilities: np.ndarray, accuracy: float, score: Score | None = None) -> Look:
    """Judge what a model says of the target.

    Args:
        probabilities: of each class for each target picture, (n, classes).
        accuracy: of the model on pictures of the source that it was not trained on; 0 where there are none.
        score: a function that a plan brings, in the place of the score made here.

    Answers of one class score 0, less than any others, however lively their second thoughts; what is no number scores -1.
    """
    if not np.isfinite(probabilities).all():
        return Look({"score": -1.0, "information": 0.0, "nuclear": 0.0}, np.zeros(len(probabilities), np.int16))
    alike, answers = equally_sure(probabilities), np.argmax(probabilities, axis=1).astype(np.int16)
    terms = {"information": information(alike), "nuclear": nuclear(alike)}
    if score is not None:
        return Look({"score": _number(score(probabilities, accuracy)), **terms}, answers)
    total = (terms["information"] + terms["nuclear"]) / 2 + LOYALTY * accuracy
    return Look({"score": 0.0 if collapsed(answers) else total, **terms}, answers)


def _number(score: Any) -> float:
    """What a plan's own score gave, checked: nothing is better or worse than what is no number."""
    try:
        number = float(score)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise PluginError(f"a function that selects must return a finite number. Received: {shortened(score)}")
    return number


def equally_sure(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) at the temperature where their mean entropy is `SURENESS`; equal ones stay equal.

    A temperature divides logits (Guo et al. 2017, https://arxiv.org/abs/1706.04599); it changes no picture's class.
    """
    from scipy.optimize import brentq
    from scipy.special import softmax

    logits = np.log(np.clip(probabilities, 1e-12, 1.0))
    wanted = SURENESS * np.log(probabilities.shape[1])

    def too_unsure(log_temperature: float) -> float:
        return float(entropy(softmax(logits / np.exp(log_temperature), axis=1)).mean() - wanted)

    low, high = -6.0, 6.0
    if too_unsure(low) >= 0:  # no temperature tells equal numbers apart
        return softmax(logits / np.exp(low), axis=1)
    return softmax(logits / np.exp(brentq(too_unsure, low, high, xtol=1e-4)), axis=1)


def information(probabilities: np.ndarray) -> float:
    """Mutual information of picture and answer over its largest value, log(classes): 0 to 1.

    H(mean p) - mean H(p) (Shi & Sha 2012, https://arxiv.org/abs/1206.6438; as a validator: Musgrave 2022,
    https://arxiv.org/abs/2208.07360).
    """
    return float((entropy(probabilities.mean(axis=0)) - entropy(probabilities).mean()) / np.log(probabilities.shape[1]))


def nuclear(probabilities: np.ndarray) -> float:
    """Batch nuclear norm over its largest value: 0 to 1 (Cui et al. 2020, https://arxiv.org/abs/2003.12237)."""
    return float(np.linalg.norm(probabilities, "nuc") / np.sqrt(len(probabilities) * min(probabilities.shape)))


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Along the last axis, in nats."""
    return -np.sum(probabilities * np.log(np.clip(probabilities, 1e-12, 1.0)), axis=-1)


def collapsed(answers: np.ndarray) -> bool:
    """Whether nearly every answer is the same class."""
    return bool(np.bincount(answers).max() >= COLLAPSED * len(answers))
