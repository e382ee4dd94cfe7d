"""Take batch-norm statistics anew (AdaBN, Li et al. 2016, https://arxiv.org/abs/1603.04779)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tlapp.engine.network.net import PhaseNet, is_batch_norm
from tlapp.engine.network.sources import Source

BATCH = 64
"""Pictures whose statistics are taken at once."""


def renew(net: PhaseNet, sources: Iterable[tuple[Source, int]]) -> None:
    """Set the moving mean and variance of the net's live batch norms to those of the sources' pictures, (source, rows) each.

    Means and variances of batches are averaged; the variance of the batches' means is added to the latter.
    """
    import tensorflow as tf

    norms = [op for op in {id(s.operation): s.operation for s in net.cut.rest}.values() if is_batch_norm(op) and net.learns(op)]
    momenta = [norm.momentum for norm in norms]
    by_block: list[list[np.ndarray]] = []
    try:
        for norm in norms:
            norm.momentum = 0.0  # each batch's own statistics are then what the layer holds
        forward = tf.function(net.features, autograph=False, reduce_retracing=True, jit_compile=False)
        for block in _blocks(sources):
            forward(tuple(map(tf.constant, block)))
            by_block.append([np.array(value) for norm in norms for value in (norm.moving_mean, norm.moving_variance)])
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    columns = [np.stack(column) for column in zip(*by_block, strict=True)]
    for norm, means, variances in zip(norms, columns[::2], columns[1::2], strict=True):
        norm.moving_mean.assign(means.mean(axis=0))
        norm.moving_variance.assign(variances.mean(axis=0) + means.var(axis=0))


def _blocks(sources: Iterable[tuple[Source, int]]) -> Iterable[tuple[Any, ...]]:
    """Blocks of equal size in a fixed random order; a rest that is smaller is left out where there is a whole block."""
    for source, count in sources:
        order, size = np.random.default_rng(0).permutation(count), min(BATCH, count)
        for start in range(0, count - size + 1, size):
            yield source.take(order[start : start + size], 0)
