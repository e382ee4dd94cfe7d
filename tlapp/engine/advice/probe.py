"""Plain classifiers on features: the baselines that every strategy is held against. Seconds, on features that are there."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.data.intervals import share

PENALTIES = (1 / 3, 1 / 30, 1 / 300)
"""Weights of the squared weights, of features of mean squared length 1, that val chooses from."""
WORK, STEPS = 2e10, (15, 300)
"""Multiplications of one fit, about, so that it takes about a second however many classes there are; and its steps."""
NEIGHBOURS = 5
FOLDS, REPEATS = 5, 2


class Scale(NamedTuple):
    """Features less their mean, over their deviation and the root of their number."""

    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return ((features - self.mean) / self.scale).astype(np.float32)


def scale_of(features: np.ndarray) -> Scale:
    """The scale of some features, (n, d); one that does not vary becomes 0."""
    deviation = features.std(0)
    usual = np.where(deviation > 1e-6 * max(float(deviation.max()), 1e-12), deviation, np.inf)
    return Scale(features.mean(0), usual * features.shape[1] ** 0.5)


class Logistic(NamedTuple):
    """Logistic regression: outputs are features, scaled, times kernel, plus bias; columns are classes."""

    scale: Scale
    kernel: np.ndarray
    bias: np.ndarray
    penalty: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features (n, d) -> outputs (n, classes)."""
        return self.scale(features) @ self.kernel + self.bias


def logistic(features: np.ndarray, labels: np.ndarray, classes: int, penalty: float) -> Logistic:
    """Fit logistic regression; a class without examples is never the answer."""
    from sklearn.linear_model import LogisticRegression

    scale, seen = scale_of(features), np.unique(labels)
    kernel, bias = np.zeros((features.shape[1], classes), np.float32), np.full(classes, -1e6, np.float32)
    if len(seen) == 1:
        bias[seen] = 0
        return Logistic(scale, kernel, bias, penalty)
    steps = int(np.clip(WORK / (2 * features.size * len(seen)), *STEPS))
    with _threads().limit(limits=1), warnings.catch_warnings():  # the products are too small to share between cores
        warnings.simplefilter("ignore")  # where there are many classes, it is stopped before its end
        model = LogisticRegression(C=1 / penalty, tol=1e-3, max_iter=steps).fit(scale(features), labels)
    two = len(seen) == 2
    kernel[:, seen] = np.stack([-model.coef_[0] / 2, model.coef_[0] / 2], 1) if two else model.coef_.T
    bias[seen] = np.array([-model.intercept_[0] / 2, model.intercept_[0] / 2]) if two else model.intercept_
    return Logistic(scale, kernel, bias, penalty)


@functools.cache
def _threads() -> Any:
    """The thread pools of the libraries of linear algebra. Looking for them takes as long as a small fit."""
    import sklearn.linear_model  # noqa: F401 - so that its libraries are there to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def chosen(features: np.ndarray, labels: np.ndarray, classes: int, val: tuple[np.ndarray, np.ndarray] | None) -> Logistic:
    """Logistic regression with the penalty of least loss on `val`, features and labels; the middle one without val."""
    if val is None or not len(val[1]):
        return logistic(features, labels, classes, PENALTIES[1])
    fitted = [logistic(features, labels, classes, penalty) for penalty in PENALTIES]
    return min(fitted, key=lambda model: loss(model(val[0]), val[1]))


def loss(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy of outputs (n, classes)."""
    from scipy.special import logsumexp

    return float((logsumexp(outputs, axis=1) - outputs[np.arange(len(labels)), labels]).mean())


def neighbours(features: np.ndarray, labels: np.ndarray, asked: np.ndarray, classes: int) -> np.ndarray:
    """The class, (n,), that most of the nearest examples have, by cosine, nearer ones counting more: of `asked`, (n, d)."""
    return votes(features, labels, asked, classes, NEIGHBOURS).argmax(1)


def votes(features: np.ndarray, labels: np.ndarray, asked: np.ndarray, classes: int, count: int) -> np.ndarray:
    """How many of the `count` nearest examples have each class, by cosine, nearer ones counting more: (n, classes)."""
    scale, found = scale_of(features), np.zeros((len(asked), classes), np.float32)
    known, new = (each / np.linalg.norm(each, axis=1, keepdims=True).clip(1e-9) for each in (scale(features), scale(asked)))
    for start in range(0, len(new), 1024):
        near = new[start : start + 1024] @ known.T
        rows = np.argsort(-near, axis=1, kind="stable")[:, :count]
        for column in rows.T:
            places = np.arange(len(column))
            found[start + places, labels[column]] += 1 + near[places, column]
    return found


def cross_validated(
    features: np.ndarray, labels: np.ndarray, classes: int, penalty: float, groups: Sequence[str] = ()
) -> dict[str, Any]:
    """The accuracy of logistic regression by repeated stratified cross-validation; examples of a group stay together.

    The interval is that of as many examples as there are: repeats make the mean steadier, and no new examples.
    """
    right, count = 0.0, 0
    for train, test in folds(labels, groups):
        right += float(
            (logistic(features[train], labels[train], classes, penalty)(features[test]).argmax(1) == labels[test]).sum()
        )
        count += len(test)
    accuracy = right / count
    return {
        "accuracy": accuracy, "accuracy_interval": share(accuracy * len(labels), len(labels)), "n": len(labels), "folds": FOLDS,
        "repeats": REPEATS,
    }  # fmt: skip


def answered(model: Any, known: Sequence[str], labels: np.ndarray, asked: Sequence[str]) -> np.ndarray:
    """What a scikit-learn classifier of sources that learnt some answers to others: labels, (n,)."""
    with _threads().limit(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there are many classes, it is stopped before its end
        return np.asarray(model.fit(list(known), labels).predict(list(asked)))


def folds(labels: np.ndarray, groups: Sequence[str], repeats: int = REPEATS) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(training rows, held-out rows) of each fold of each repeat, classes spread evenly, groups together."""
    from sklearn.model_selection import StratifiedGroupKFold

    each = np.array([group or f"\0{number}" for number, group in enumerate(groups or [""] * len(labels))])
    for seed in range(repeats):
        yield from StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels, each)
