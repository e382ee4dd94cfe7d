"""Batch norm's statistics taken from other images."""

from __future__ import annotations

import numpy as np
from helpers.adaptation import adapted

from tlapp.contracts import Fit, Plan, Statistics, Strategy


class Renew(Strategy):
    """Takes the statistics of every batch norm from the target."""

    def plan(self, task, backbone):
        warm = Fit(name="warm", rates=backbone.frozen(), epochs=1, learning_rate=1e-3)
        return Plan((warm, Statistics(name="renew", rates=backbone.all(), streams=("target",))))


def test_statistics_are_those_of_the_pictures(domains, tmp_path, tensorflow):
    import keras

    run, _ = adapted(Renew(), domains, tmp_path / "run")
    stream = run.dataset.streams["target"]
    taps = keras.Model(run.work.graph.inputs, run.work.graph.get_layer("stem_conv").output)
    seen = np.asarray(taps(stream.examples.take(np.arange(len(stream)))[0].astype(np.float32)))
    norm = run.work.graph.get_layer("stem_norm")
    assert np.allclose(norm.moving_mean, seen.mean(axis=(0, 1, 2)), atol=1e-3)
    assert np.allclose(norm.moving_variance, seen.var(axis=(0, 1, 2)), rtol=1e-3)
