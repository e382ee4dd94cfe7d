"""How good outputs are: the metrics of a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlapp.engine.cache import Source
from tlapp.engine.net import PhaseNet


def metrics(probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """The metrics of a split.

    Args:
        probabilities: (n, classes), rows summing to 1.
        labels: (n,) int.
        classes: names, in label order.

    Returns:
        accuracy, balanced_accuracy (mean recall of the classes that occur), macro_f1 (over the classes that occur or are
        predicted), loss (mean negative log likelihood), n, and classes: {name: {precision, recall, f1, n}}.
    """
    predicted, count = np.argmax(probabilities, axis=1), len(classes)
    confusion = np.bincount(labels * count + predicted, minlength=count * count).reshape(count, count)
    right, true, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall, precision = right / np.maximum(true, 1), right / np.maximum(said, 1)
    f1 = 2 * right / np.maximum(true + said, 1)
    loss = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1.0))
    each = zip(classes, precision, recall, f1, true, strict=True)
    return {
        "accuracy": float(right.sum() / len(labels)),
        "balanced_accuracy": float(recall[true > 0].mean()),
        "macro_f1": float(f1[true + said > 0].mean()),
        "loss": float(loss.mean()),
        "n": len(labels),
        "classes": {c: {"precision": float(p), "recall": float(r), "f1": float(f), "n": int(n)} for c, p, r, f, n in each},
    }


def describer(net: PhaseNet, activation: str) -> Callable[[Source, int], tuple[np.ndarray, ...]]:
    """(source, rows) -> features (rows, size) and probabilities (rows, classes) of the net as it then stands."""
    import keras
    import tensorflow as tf

    final = getattr(keras.activations, activation)

    def forward(x: Any) -> Any:
        features = net.describe(x)
        return features, final(net.layer(features, training=False))

    return _over_blocks(tf.function(forward, reduce_retracing=True, jit_compile=False))


def predictor(net: PhaseNet, activation: str) -> Callable[[Source, int], np.ndarray]:
    """(source, rows) -> probabilities (rows, classes) of the net as it then stands."""
    import keras
    import tensorflow as tf

    final = getattr(keras.activations, activation)
    forward = _over_blocks(tf.function(lambda x: (final(net.predict(x)),), reduce_retracing=True, jit_compile=False))
    return lambda source, count: forward(source, count)[0]


def _over_blocks(forward: Callable[..., Any]) -> Callable[[Source, int], tuple[np.ndarray, ...]]:
    """A function of (source, rows) that runs `forward` block by block."""
    import tensorflow as tf

    def run(source: Source, count: int) -> tuple[np.ndarray, ...]:
        found = []
        for start in range(0, count, 64):
            block = source.take(np.arange(start, min(start + 64, count)), 0)
            found.append([output.numpy() for output in forward(tuple(map(tf.constant, block)))])
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

    return run
