"""adapters: they begin by changing nothing, train little, and merge where they can."""

from __future__ import annotations

import numpy as np
import pytest
from tlapp_plugins.adapters import METHODS, Adapters

from tlapp.contracts import Backbone, ImageInput, LoadedBackbone, Stage, Task, UserError
from tlapp.testing import SIZE, TinyBackbones, tiny_run

TASK = Task(("a", "b", "c"), {"train": 24, "val": 6, "test": 6})
GRAFTED = ("bottleneck", "conv", "scale", "lora")
MERGED = ("scale", "lora")


def tokens():
    """A backbone of tokens: dense layers, layer norm, a residual connection."""
    import keras

    image = keras.Input((SIZE, SIZE, 3), name="image")
    rows = keras.layers.Reshape((16, -1), name="rows")(image / 255)
    first = keras.layers.BatchNormalization(axis=2, name="rows_norm")(keras.layers.Dense(12, name="embed")(rows))
    inside = keras.layers.Dense(12, name="mix")(keras.layers.LayerNormalization(name="norm")(first))
    second = keras.layers.Dense(12, use_bias=False, activation="relu", name="act")(keras.layers.Add(name="sum")([first, inside]))
    graph = keras.Model(image, keras.layers.GlobalAveragePooling1D(name="pool")(second))
    stage_of = {
        "rows": "first",
        "embed": "first",
        "rows_norm": "first",
        "norm": "last",
        "mix": "last",
        "sum": "last",
        "act": "last",
        "pool": "last",
    }
    stages = (Stage("first", 1, (16, 12), ("embed", "rows_norm")), Stage("last", 1, (12,), ("norm", "mix", "act")))
    return LoadedBackbone(Backbone("toy:tokens", ImageInput(SIZE), stages), graph, stage_of)


def loaded(name):
    return tokens() if name == "tokens" else TinyBackbones().load("tiny")


def batch():
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype("float32")


def answers(model):
    """Of the batch; a model's `input` is a tensor or a list of them."""
    return np.array(model([batch()] if isinstance(model.input, list) else batch(), training=False))


def shaken(graph, own):
    """The graph, every weight of what was grafted moved."""
    rng = np.random.default_rng(1)
    for layer in graph.layers:
        if layer.name not in own:
            layer.set_weights([weight + rng.normal(0, 0.3, weight.shape) for weight in layer.get_weights()])
    return graph


@pytest.mark.parametrize("network", ["tiny", "tokens"])
@pytest.mark.parametrize("method", GRAFTED)
def test_the_adapted_network_starts_as_the_pretrained_one_to_the_bit(method, network, tensorflow):
    backbone = loaded(network)
    plan = Adapters(method=method).plan(TASK, backbone.facts)
    graph = plan.graft(backbone)
    np.testing.assert_array_equal(answers(graph), answers(backbone.graph))
    assert sum(w.shape.num_elements() for w in graph.weights) > sum(w.shape.num_elements() for w in backbone.graph.weights)
    assert not any(plan.phases[0].rates.values()) and plan.phases[0].graft_rate == 0 and plan.phases[1].graft_rate == 1


@pytest.mark.parametrize("network", ["tiny", "tokens"])
@pytest.mark.parametrize("method", MERGED)
def test_what_merges_answers_the_same_with_the_layers_that_it_had(method, network, tensorflow):
    backbone = loaded(network)
    before, names = answers(backbone.graph), [layer.name for layer in backbone.graph.layers]
    plan = Adapters(method=method).plan(TASK, backbone.facts)
    graph = shaken(plan.graft(backbone), names)
    trained = answers(graph)
    merged = plan.finish(graph)
    assert np.abs(trained - before).max() > 0.01
    np.testing.assert_allclose(answers(merged), trained, rtol=1e-4, atol=1e-5)
    assert sorted(layer.name for layer in merged.layers) == sorted(names)
    np.testing.assert_array_equal(answers(backbone.graph), before)  # what was merged is other layers


def test_scales_stand_behind_every_norm_and_every_kernel_with_a_bias(tensorflow):
    backbone = tokens()
    graph = Adapters(method="scale").plan(TASK, backbone.facts).graft(backbone)
    names = {layer.name.removesuffix("_sum") for layer in graph.layers if layer.name.endswith("_sum")}
    assert names == {"embed", "rows_norm", "norm", "mix"}


def test_low_rank_kernels_are_the_products(tensorflow):
    backbone = tokens()
    kernel = backbone.graph.get_layer("embed").get_weights()[0]
    plan = Adapters(method="lora", rank=2).plan(TASK, backbone.facts)
    graph = shaken(plan.graft(backbone), [layer.name for layer in backbone.graph.layers])
    down, up = (graph.get_layer(f"embed_{end}").get_weights()[0] for end in ("down", "up"))
    assert down.shape == (kernel.shape[0], 2)
    np.testing.assert_allclose(plan.finish(graph).get_layer("embed").get_weights()[0], kernel + down @ up, rtol=1e-5)


def test_only_the_stages_given_are_adapted(tensorflow):
    backbone = TinyBackbones().load("tiny")
    own = {layer.name for layer in backbone.graph.layers}
    for method in GRAFTED:
        graph = Adapters(method=method, stages=("middle",)).plan(TASK, backbone.facts).graft(backbone)
        assert all(layer.name.startswith("middle") for layer in graph.layers if layer.name not in own), method
    assert Adapters(method="bias", stages=("middle",)).plan(TASK, backbone.facts).phases[1].rates == {
        "stem": 0.0, "middle": 1.0, "top": 0.0,
    }  # fmt: skip
    with pytest.raises(UserError, match="tiny:tiny has the stages stem, middle, top"):
        Adapters(stages=("center",)).plan(TASK, backbone.facts)
    with pytest.raises(UserError, match="no output of the stages top of tiny:tiny is a map or tokens"):
        Adapters(stages=("top",)).plan(TASK, backbone.facts).graft(backbone)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_else_of_the_network_trains(method, shapes, tmp_path, tensorflow):
    before = {v.path: v.numpy() for v in TinyBackbones().load("tiny").graph.variables if "seed" not in v.path}
    run = tiny_run(Adapters(method=method, warmup=1, epochs=2, learning_rate=1e-2), shapes, tmp_path / "run", patience=9)
    after = {v.path: v.numpy() for v in run.work.graph.variables if "seed" not in v.path}
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    ends = {"bias": ("/bias", "/beta"), "norm": ("/gamma", "/beta")}.get(method)
    assert moved == ({path for path in before if path.endswith(ends)} if ends else set())
    grafted = [path for path in after if path not in before]
    assert bool(grafted) == (method in GRAFTED)
