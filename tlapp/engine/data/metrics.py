"""How good outputs are: the metrics of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlapp.engine.data.intervals import drawn, share


def metrics(probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], intervals: bool = True) -> dict[str, Any]:
    """The metrics of a split.

    Args:
        probabilities: (n, classes), rows summing to 1.
        labels: (n,) int.
        classes: names, in label order.
        intervals: with those that take a while to draw.

    Returns:
        accuracy, balanced_accuracy (mean recall of the classes that occur), macro_f1 (over the classes that occur or are
        predicted), loss (mean negative log likelihood), n, and classes: {name: {precision, recall, f1, n}}; 95 % intervals of
        accuracy, macro_f1 and each recall, called as these with _interval behind.
    """
    predicted, count = np.argmax(probabilities, axis=1), len(classes)
    confusion = np.bincount(labels * count + predicted, minlength=count * count).reshape(count, count)
    right, true, predicted_counts = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall, precision = right / np.maximum(true, 1), right / np.maximum(predicted_counts, 1)
    f1 = 2 * right / np.maximum(true + predicted_counts, 1)
    loss = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1.0))
    return {
        "accuracy": float(right.sum() / len(labels)),
        "accuracy_interval": share(int(right.sum()), len(labels)),
        "balanced_accuracy": float(recall[true > 0].mean()),
        "macro_f1": float(f1[true + predicted_counts > 0].mean()),
        **(macro_f1_interval(np.eye(count, dtype=bool)[labels], np.eye(count, dtype=bool)[predicted]) if intervals else {}),
        "loss": float(loss.mean()),
        "n": len(labels),
        "classes": _each(classes, precision, recall, f1, true),
    }


def set_metrics(
    probabilities: np.ndarray, hot: np.ndarray, answers: np.ndarray, classes: Sequence[str], intervals: bool = True
) -> dict[str, Any]:
    """The metrics of a split whose pictures are each of any number of classes.

    Args:
        probabilities: (n, classes), each by itself.
        hot, answers: what is true and what is answered, (n, classes) bool.
        classes: names, in label order.

    Returns:
        As `metrics`, but accuracy counts the pictures whose whole set is right, balanced_accuracy is the mean over the classes
        that occur of that of having or not having the class, and loss is the binary cross-entropy; and micro_f1, and map, the
        mean over the classes that occur of `average_precision`.
    """
    right, true, predicted_counts, count = (hot & answers).sum(0), hot.sum(0), answers.sum(0), len(hot)
    occurs = true > 0
    recall, precision = right / np.maximum(true, 1), right / np.maximum(predicted_counts, 1)
    f1 = 2 * right / np.maximum(true + predicted_counts, 1)
    spared = (count - true - predicted_counts + right) / np.maximum(count - true, 1)
    balanced = np.where(true < count, (recall + spared) / 2, recall)
    likely = np.clip(np.where(hot, probabilities, 1 - probabilities), 1e-7, 1.0)
    whole = (hot == answers).all(1)
    return {
        "accuracy": float(whole.mean()),
        "accuracy_interval": share(int(whole.sum()), count),
        "balanced_accuracy": _mean(balanced[occurs]),
        "macro_f1": _mean(f1[true + predicted_counts > 0]),
        **(macro_f1_interval(hot, answers) if intervals else {}),
        "loss": float(-np.log(likely).mean()),
        "micro_f1": float(2 * right.sum() / max(int((true + predicted_counts).sum()), 1)),
        "map": _mean(np.array([average_precision(probabilities[:, i], hot[:, i]) for i in np.flatnonzero(occurs)])),
        "n": count,
        "classes": _each(classes, precision, recall, f1, true),
    }


def known_metrics(known: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """The coverage of examples of known classes, with its 95 % interval, and the accuracy of the answers that are left."""
    count = int(known.sum())
    return {
        "n": len(known), "coverage": count / len(known), "coverage_interval": share(count, len(known)),
        "accuracy_known": float(right[known].mean()) if count else None,
    }  # fmt: skip


def macro_f1_interval(hot: np.ndarray, answers: np.ndarray) -> dict[str, list[float]]:
    """The interval of macro_f1, by what is true and what is answered, (n, classes) bool."""
    right, some = (hot & answers).astype(np.float32), hot.astype(np.float32) + answers
    if not some.any():
        return {"macro_f1_interval": [0.0, 0.0]}

    def f1(counts: np.ndarray) -> np.ndarray:
        occur = counts @ some
        each = 2 * (counts @ right) / np.maximum(occur, 1)
        return each.sum(1) / np.maximum((occur > 0).sum(1), 1)

    return {"macro_f1_interval": drawn(len(hot), f1, hot.shape[1])}


def _each(
    classes: Sequence[str], precision: np.ndarray, recall: np.ndarray, f1: np.ndarray, true: np.ndarray
) -> dict[str, dict[str, Any]]:
    rows = zip(classes, precision, recall, f1, true, strict=True)
    return {
        name: {"precision": float(p), "recall": float(r), "recall_interval": share(r * n, int(n)), "f1": float(f), "n": int(n)}
        for name, p, r, f, n in rows
    }


def number_metrics(answers: np.ndarray, numbers: np.ndarray, intervals: bool = True) -> dict[str, Any]:
    """The metrics of a split whose labels are numbers.

    Args:
        answers, numbers: what is answered and what is true, (n,), in the labels' unit.

    Returns:
        mae (mean absolute error) and rmse (root mean squared error), in the labels' unit; r2 (coefficient of determination: 1 for
        no error, 0 for an answer that is always the mean of these labels, and below that for worse; of labels that are all equal,
        0 where there is an error); loss (mean squared error by the variance of these labels); n; and 95 % intervals, r2_interval
        and mae_interval.
    """
    errors, variance = answers.astype(np.float64) - numbers, float(np.var(numbers))
    squares, n = np.square(errors), len(numbers)
    square = float(squares.mean())
    loss = square / variance if variance > 0 else square
    r2 = 1 - loss if variance > 0 else float(square == 0)
    found = {"mae": float(np.abs(errors).mean()), "rmse": square**0.5, "r2": r2, "loss": loss, "n": n}
    if not intervals:
        return found
    about = numbers - numbers.mean()

    def r2s(counts: np.ndarray) -> np.ndarray:
        spread = counts @ about**2 - (counts @ about) ** 2 / n
        return 1 - (counts @ squares) / np.maximum(spread, 1e-12 * n * variance)

    maes = drawn(n, lambda counts: counts @ np.abs(errors) / n)
    return {**found, "mae_interval": maes, "r2_interval": drawn(n, r2s) if variance > 0 else [r2, r2]}


def average_precision(scores: np.ndarray, true: np.ndarray) -> float:
    """The precision at each threshold, (n,) scores, averaged by the recall that it adds; at least one is `true`, (n,) bool."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)  # of equal scores all are taken together
    right = np.cumsum(true[order])[last]
    return float((np.diff(right, prepend=0) * right / (last + 1)).sum() / right[-1])


def _mean(values: np.ndarray) -> float:
    """Of none, 0."""
    return float(values.mean()) if len(values) else 0.0
