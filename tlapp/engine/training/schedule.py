"""The learning rate of variables over the steps of a phase."""

from __future__ import annotations

import weakref
from typing import Any


def learning_rate(speed: float, steps: int, total: int, schedule: str) -> Any:
    """What an optimizer of Keras takes: a number, or a cosine of `total` steps that rises over at most an epoch of `steps`."""
    if schedule != "cosine":
        return speed
    # A linear start keeps Adam's first, badly scaled steps small (Goyal et al. 2017, https://arxiv.org/abs/1706.02677).
    rise = min(steps, total // 10)
    return _made_once()(speed / max(rise, 1), total - rise, warmup_target=speed if rise else None, warmup_steps=rise)


def _made_once() -> Any:
    import keras
    import tensorflow as tf

    class CosineDecay(keras.optimizers.schedules.CosineDecay):  # type: ignore[misc]  # keras has no types
        """As Keras's, but computed once in a graph: Keras asks for it twice a variable, for the step and for the decay.

        An optimizer makes one step in a graph.
        """

        _made: Any = None

        def __call__(self, step: Any) -> Any:
            if tf.executing_eagerly():
                return super().__call__(step)
            graph = tf.compat.v1.get_default_graph()
            if self._made is None or self._made[0]() is not graph:
                self._made = weakref.ref(graph), super().__call__(step)
            return self._made[1]

    return CosineDecay
