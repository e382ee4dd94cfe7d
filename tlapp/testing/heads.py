"""The rules that are heads' own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlapp.contracts import Task
from tlapp.testing.subject import Broken, Subject

SETS = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 0, 0]], np.float32)
"""Labels of four pictures, of which each has any number."""
NUMBERS = np.array([[-1.5], [-0.5], [0.5], [1.5]], np.float32)
"""Labels of four pictures that are numbers, as a head is trained on them."""


def builds(subject: Subject) -> None:
    """build() gives a Keras layer from (batch, size) to (batch, classes), for any size and number of classes."""
    import keras

    from tlapp.engine.data.labelling import unfit

    if fault := unfit(subject.kind):
        raise Broken(fault)
    for size, classes in ((8, 1), (33, 1)) if subject.kind.labels == "number" else ((8, 2), (33, 5)):
        features = keras.Input((size,))
        layer = subject.plugin.build(features, _task(classes, subject.kind.labels))
        if not isinstance(layer, keras.Layer):
            raise Broken(f"build() must give a Keras layer. Received: {type(layer).__name__}")
        shape = tuple(layer(features).shape)
        if shape != (None, classes):
            raise Broken(f"for {size} features and {classes} classes its outputs have the shape {shape}, not (None, {classes})")


def loss(subject: Subject) -> None:
    """loss() gives a finite number for each example, which is smaller for right outputs than for wrong ones."""
    import keras

    labels = {"one": np.eye(4, dtype=np.float32), "many": SETS, "number": NUMBERS}[subject.kind.labels]
    right = keras.ops.convert_to_tensor(labels if subject.kind.labels == "number" else 6 * labels - 3)
    good, bad = (np.asarray(subject.plugin.loss(keras.ops.convert_to_tensor(labels), outputs)) for outputs in (right, -right))
    for losses in (good, bad):
        if losses.shape != (4,):
            raise Broken(f"for 4 examples loss() gives the shape {losses.shape}, not (4,): one number per example")
        if not np.isfinite(losses).all():
            raise Broken(f"loss() gives {losses}")
    if not (good < bad).all():
        raise Broken(f"loss() of right outputs, {good.mean():.4g}, is not below that of wrong ones, {bad.mean():.4g}")


def _task(classes: int, labels: Any) -> Task:
    names = tuple(f"class{i}" for i in range(classes)) if labels != "number" else ("value",)
    return Task(names, {"train": 10 * classes, "val": classes, "test": classes}, labels=labels)
