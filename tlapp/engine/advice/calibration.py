"""Probabilities at the temperature at which they fit best: how well classes are told apart, however sure a model says to be."""

from __future__ import annotations

import numpy as np

from tlapp.engine.advice.probe import loss


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """By what logits (n, classes) are divided for the mean negative log likelihood of labels, (n,), to be least.

    Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(lambda log: loss(logits / np.exp(log), labels), bounds=(-3.0, 3.0), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(logits, labels) else 1.0


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
