"""Trained runs as guides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tlapp.api import load
from tlapp.contracts import Guide, UserError


def teacher(folder: str, classes: Sequence[str]) -> Guide:
    """What the model of a run says of an example: probabilities (batch, classes), in the order of `classes`.

    Raises:
        UserError: there is no finished run, or it does not know all the classes.
    """
    run = load(folder)
    if missing := sorted({*classes} - {*run.labels}):
        raise UserError(f"the teacher does not know the class {missing[0]}; it knows {', '.join(run.labels)}", folder, "teacher")
    digest = hashlib.sha256((run.folder / "model.keras").read_bytes()).hexdigest()
    return Guide(Answers(folder, tuple(run.labels.index(name) for name in classes)), digest)


@dataclass(frozen=True)
class Answers:
    """Asks the model of a run: pictures (batch, size, size, 3) of any size, or other examples -> (batch, columns)."""

    folder: str
    columns: tuple[int, ...]

    def __call__(self, pictures: Any) -> Any:
        import numpy as np

        model, ask = _opened(self.folder)
        size = model.inputs[0].shape[1]
        if size not in (None, pictures.shape[1]):  # None: it takes examples of any length
            import keras

            pictures = keras.ops.image.resize(pictures, (size, size), antialias=True)
        answers = np.asarray(ask(pictures))[:, list(self.columns)]
        return answers / np.maximum(answers.sum(axis=1, keepdims=True), 1e-8)


@cache
def _opened(folder: str) -> tuple[Any, Any]:
    """The model of a run, and the compiled function that asks it."""
    import tensorflow as tf

    model = load(folder).model
    return model, tf.function(lambda x: model(x, training=False), reduce_retracing=True, jit_compile=False)
