"""The rule by which a model says "unknown", chosen on val without examples of what is unknown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tlapp.contracts import Head
from tlapp.engine.data.metrics import known_metrics
from tlapp.engine.network.known import Known, cosines, means_of
from tlapp.errors import UserError

FEWEST = 50
"""Validation examples: with so many, 9 in 10 thresholds for 95 % keep 91 to 99 %."""


def check_unknown(coverage: float | None, head: Head, val: int | None, noun: str, refit: bool | None) -> None:
    """Check that a threshold of this coverage can be chosen.

    Args:
        val: how many labelled validation examples there are.

    Raises:
        UserError: the head does not name one class by softmax, or val is too small or will be trained on.
    """
    if coverage is None:
        return
    if head.labels != "one" or head.activation != "softmax":
        raise UserError(
            "is for heads that name one class by a softmax; leave it out, or choose another head", coverage, "unknown"
        )
    if refit:
        raise UserError("needs val held out, and option refit trains on it; leave one of them out", coverage, "unknown")
    least = max(FEWEST, math.ceil(coverage / (1 - coverage) - 1e-9))
    if (val or 0) < least:
        raise UserError(f"needs at least {least} val {noun}s to choose a threshold; there are {val or 0}", coverage, "unknown")


def fitted(
    features: np.ndarray, labels: np.ndarray, val_features: np.ndarray, val_probabilities: np.ndarray, coverage: float, tail: int
) -> Known:
    """A rule that a share `coverage` of further examples like val's are known by.

    How near an example is, is the cosine of its features to the nearest of a few means a class. Each val example has a rank by
    its largest probability and one by its cosine, from the surest and the nearest; its score is the worse of the two. The
    threshold is the split-conformal quantile of the scores (Vovk et al. 2005; Angelopoulos and Bates 2021,
    https://arxiv.org/abs/2107.07511): of n, the one in place ceil((n + 1) coverage). As the ranks are val's own, this holds to
    within about 1 / n.

    Args:
        features, labels: of the examples that were trained on, (n, size) and (n,).
        val_features, val_probabilities: of those that were not, (m, size) and (m, classes).
        tail: as in `Known`.
    """
    means = means_of(features, labels, int(labels.max()) + 1)
    near, sure = cosines(val_features, means), val_probabilities.max(1)
    place = math.ceil((len(near) + 1) * coverage - 1e-9)
    worse = np.maximum(_ranks(near), _ranks(sure))
    level = int(np.sort(worse)[min(place, len(near)) - 1])
    return Known(means, _between(sure, level), _between(near, level), float(near.std()), tail)


def report(coverage: float, val: np.ndarray, test: np.ndarray | None, right: np.ndarray | None) -> dict[str, Any]:
    """What metrics.json says under "unknown".

    Args:
        val, test: whether the examples are known by the rule, (n,) bool.
        right: whether the answers to test are right.
    """
    found = {"coverage": coverage, "val_pictures": len(val), "step": 1 / (len(val) + 1), "val": {"coverage": float(val.mean())}}
    return {**found, "test": None if test is None or right is None else known_metrics(test, right)}


def _ranks(values: np.ndarray) -> np.ndarray:
    """How many values are larger, or equal and earlier: (n,)."""
    ranks = np.empty(len(values), int)
    ranks[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return ranks


def _between(values: np.ndarray, level: int) -> float:
    """Between the value of this rank and the next lower one, so that rounding moves neither across."""
    ordered = -np.sort(-values.astype(np.float64))
    after = ordered[level + 1] if level + 1 < len(ordered) else ordered[level] - max(float(values.std()), 1e-6)
    return float((ordered[level] + after) / 2)
