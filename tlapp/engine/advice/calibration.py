"""Probabilities at the temperature at which they fit best: how well classes are told apart, however sure a model says to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tlapp.engine.advice.probe import loss

FEWEST = 50
"""Validation examples for which a temperature is worth more than the noise in it (docs/results.md)."""
# At 25 to 200 val examples of six sets this gives the lowest loss on others, or within 0.001 of it (docs/results.md).
SPREAD = 0.3
"""Standard deviation of the logarithm of the temperature that is expected before val is seen: its mean is 0."""
BINS = 15


def temperature(logits: np.ndarray, labels: np.ndarray, spread: float = np.inf) -> float:
    """By what logits (n, classes) are divided for the negative log likelihood of labels, (n,), to be least; 1 where that gains
    nothing.

    Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599.

    Args:
        spread: with a normal prior of this standard deviation on its logarithm, the most probable temperature: few labels,
            or labels that are all right, then say no more than they know.
    """
    from scipy.optimize import minimize_scalar

    def cost(log: float) -> float:
        return loss(logits / np.exp(log), labels) + (log / spread) ** 2 / (2 * len(labels))

    found = minimize_scalar(cost, bounds=(-3.0, 3.0), method="bounded")
    return float(np.exp(found.x)) if found.fun < cost(0.0) else 1.0


def expected_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The expected calibration error of probabilities (n, classes): the mean gap between confidence and accuracy, by bins of
    equal width of the confidence, weighted by the examples in each.

    Naeini et al. 2015, Obtaining Well Calibrated Probabilities Using Bayesian Binning, https://doi.org/10.1609/aaai.v29i1.9602.
    """
    confidence, right = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def calibration(
    temperature: float, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """What metrics.json says of a calibration, of val and below "test" of test, which the temperature has not seen.

    Args:
        before, after: "val" and "test" -> probabilities (n, classes), as they were trained and as they are deployed.
        labels: "val" and "test" -> (n,).
    """

    def errors(name: str) -> dict[str, Any]:
        found = ((part, expected_error(kept[name], labels[name])) for part, kept in (("before", before), ("after", after)))
        return {f"ece_{part}": error for part, error in found}

    judged = [name for name in ("val", "test") if name in labels]
    return {
        "temperature": temperature, "val_pictures": len(labels.get("val", ())),
        **(errors("val") if "val" in judged else {"ece_before": None, "ece_after": None}),
        "test": errors("test") if "test" in judged else None,
    }  # fmt: skip


def calibrated_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The negative log likelihood of each label, (n,), at the best temperature."""
    from scipy.special import logsumexp

    logits = np.log(np.clip(probabilities.astype(np.float64), 1e-9, 1.0))
    logits /= temperature(logits, labels)
    return logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]


def surely_better(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether losses of the same examples, (n,) each, are lower by more than their standard error.

    The rule by which the simpler of two models is kept (Breiman et al. 1984, Classification and Regression Trees, 3.4.3).
    """
    gaps = theirs - ours
    error = float(gaps.std(ddof=1)) / len(gaps) ** 0.5 if len(gaps) > 1 else float("inf")
    return bool(gaps.mean() > error)
