"""Run a net over a source of activations, block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tlapp.engine.network.net import PhaseNet
from tlapp.engine.network.sources import Source

Predict = Callable[[Source, int], np.ndarray]
"""(source, rows) -> answers (rows, classes) of a net as it then stands."""


def describer(net: PhaseNet, last: Any) -> Callable[[Source, int], tuple[np.ndarray, ...]]:
    """(source, rows) -> features (rows, size) and answers (rows, classes) of the net as it then stands, by its last layer."""
    import tensorflow as tf

    def forward(x: Any) -> Any:
        features = net.describe(x)
        return features, last(net.layer(features, training=False))

    return _over_blocks(tf.function(forward, autograph=False, reduce_retracing=True, jit_compile=False))


def predictor(net: PhaseNet, last: Any) -> Predict:
    """What a net answers, by its last layer."""
    import tensorflow as tf

    forward = _over_blocks(
        tf.function(lambda x: (last(net.predict(x)),), autograph=False, reduce_retracing=True, jit_compile=False)
    )
    return lambda source, count: forward(source, count)[0]


def _over_blocks(forward: Callable[..., Any]) -> Callable[[Source, int], tuple[np.ndarray, ...]]:
    """A function of (source, rows) that runs `forward` block by block."""
    import tensorflow as tf

    def run(source: Source, count: int) -> tuple[np.ndarray, ...]:
        outputs_by_block = []
        for start in range(0, count, 64):
            block = source.take(np.arange(start, min(start + 64, count)), 0)
            outputs_by_block.append([output.numpy() for output in forward(tuple(map(tf.constant, block)))])
        return tuple(np.concatenate(parts) for parts in zip(*outputs_by_block, strict=True))

    return run
