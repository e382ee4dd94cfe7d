"""Models in one: what is equal stands there once, what differs keeps its own weights, and each answers as before."""

from __future__ import annotations

import numpy as np
import pytest

from tlapp.contracts.graph import steps
from tlapp.engine.network.join import joined
from tlapp.testing import SIZE, TinyBackbones


def parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.weights)


def with_head(graph, seed, name="head"):
    """A network with a head of random weights, made of layers of its own with the same names."""
    import keras

    copy = keras.Model.from_config(graph.get_config())
    copy.set_weights(graph.get_weights())
    layer = keras.layers.Dense(3, activation="softmax", name=name)
    model = keras.Model(copy.inputs, layer(copy.outputs[0]))
    layer.set_weights([np.random.default_rng(seed).normal(0, 1, w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture
def batch():
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype("float32")


def answers(model, batch):
    given = model([batch]) if isinstance(model.input, list) else model(batch)
    return {name: np.asarray(each) for name, each in given.items()} if isinstance(given, dict) else np.asarray(given)


def test_a_shared_network_stands_in_it_once(batch, tensorflow):
    graph = TinyBackbones().load("tiny").graph
    models = {name: with_head(graph, seed) for seed, name in enumerate(("pets", "cars", "food"))}
    model = joined(models)
    assert parameters(model) == parameters(graph) + 3 * parameters(models["pets"].get_layer("head"))
    assert [step.operation.name for step in steps(model)].count("stem_conv") == 1  # computed once
    for name, own in models.items():
        np.testing.assert_array_equal(answers(model, batch)[name], answers(own, batch))


def test_what_differs_keeps_its_own_weights_and_what_comes_behind_it_is_shared_still(batch, tensorflow):
    graph = TinyBackbones().load("tiny").graph
    models = {"one": with_head(graph, 0), "other": with_head(graph, 1)}
    changed = models["other"].get_layer("stem_conv")
    changed.set_weights([weight + 0.1 for weight in changed.get_weights()])
    model = joined(models)
    both = parameters(graph) + 2 * parameters(models["one"].get_layer("head")) + parameters(changed)
    assert parameters(model) == both
    assert [step.operation.name for step in steps(model)].count("top_conv") == 2
    assert {layer.name for layer in model.layers} >= {"stem_conv", "other_stem_conv", "head", "other_head"}
    for name, own in models.items():
        np.testing.assert_array_equal(answers(model, batch)[name], answers(own, batch))


def test_equal_layers_with_other_settings_are_two(batch, tensorflow):
    import keras

    def small(activation):
        image = keras.Input((SIZE, SIZE, 3), name="image")
        pooled = keras.layers.GlobalAveragePooling2D()(image / 255)
        layer = keras.layers.Dense(2, activation=activation, kernel_initializer="ones", name="head")
        return keras.Model(image, layer(pooled))

    models = {"a": small("softmax"), "b": small("sigmoid"), "c": small("sigmoid")}
    model = joined(models)
    assert parameters(model) == 2 * parameters(models["a"])
    for name, own in models.items():
        np.testing.assert_array_equal(answers(model, batch)[name], answers(own, batch))
