"""Mixed precision: who computes in bfloat16, for how long, and what stays float32."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.one_phase import lines
from tlapp.contracts import Fit, Plan, Strategy
from tlapp.engine.network.precision import chosen, computing
from tlapp.testing import tiny_run


@pytest.fixture
def keras(tensorflow):
    import keras

    return keras


def network(keras):
    class Stranger(keras.layers.Layer):
        def call(self, x):
            return x * 2

    x = keras.Input((8, 8, 3))
    scaled = keras.layers.Rescaling(1 / 255)(x)
    live = keras.layers.Conv2D(4, 3)(scaled)
    return keras.Model(x, Stranger()(keras.layers.ReLU()(live)))


def test_layers_of_keras_compute_in_it_and_nothing_else(keras):
    _, scale, convolution, relu, stranger = layers = network(keras).layers
    x = np.full((1, 8, 8, 3), 200, "float32")
    with computing(layers, "bfloat16"):
        scaled = scale(x)
        y = relu(convolution(scaled))
        assert [t.dtype.name for t in (scaled, y, stranger(y))] == ["float32", "bfloat16", "float32"]
        assert convolution.kernel.dtype == "float32"
    assert relu(convolution(scaled)).dtype.name == "float32"


def test_policies_are_put_back_where_the_block_fails(keras):
    layers = network(keras).layers
    with pytest.raises(ZeroDivisionError), computing(layers, "bfloat16"):
        raise ZeroDivisionError
    assert {layer.dtype_policy.name for layer in layers} == {"float32"}


@pytest.mark.parametrize(
    ("gpus", "found"),
    [([], "float32"), ([(8, 0)], "bfloat16"), ([(7, 5)], "float32"), ([(9, 0), (7, 0)], "float32"), ([None], "float32")],
)  # fmt: skip
def test_auto_asks_the_gpus(gpus, found, monkeypatch, tensorflow):
    details = {f"gpu{i}": {"compute_capability": gpu} if gpu else {} for i, gpu in enumerate(gpus)}
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda kind: list(details))
    monkeypatch.setattr(tensorflow.config.experimental, "get_device_details", details.get)
    assert chosen("auto") == found
    assert (chosen("float32"), chosen("bfloat16")) == ("float32", "bfloat16")


@pytest.mark.parametrize("norm", ["frozen", "update"])
def test_a_run_in_bfloat16_learns_as_one_in_float32_and_keeps_float32(norm, shapes, tmp_path, tensorflow):
    class All(Strategy):
        def plan(self, task, backbone):
            return Plan((Fit(name="all", rates=backbone.all(), epochs=4, learning_rate=1e-3, batch_norm=norm),))

    seen = set()
    plain = tensorflow.nn.bias_add

    def spy(y, bias, **more):
        seen.add(y.dtype.name)
        return plain(y, bias, **more)

    losses = {}
    for precision in ("float32", "bfloat16"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tensorflow.nn, "bias_add", spy)
            run = tiny_run(All(), shapes, tmp_path / precision, precision=precision)
        losses[precision] = lines(run, "all")[-1].validation["loss"]
        assert {v.dtype for v in run.work.graph.weights} == {"float32"}
        assert {layer.dtype_policy.name for layer in run.work.graph.layers} == {"float32"}
        assert ("bfloat16" in seen) == (precision == "bfloat16")
        seen.clear()
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.1)
