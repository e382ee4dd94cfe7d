"""progressive: a second task changes nothing of the first, to the bit, and both go into one file."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import tlapp
from tlapp.contracts import Backbone, ImageInput, LoadedBackbone, Stage
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones, pictures


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """Runs of two tasks, the second of which has the columns of the first."""
    folder = tmp_path_factory.mktemp("progressive")
    first, others = pictures(folder / "first", each=12), pictures(folder / "others", each=12, seed=7)
    for number, shape in enumerate(sorted(path.name for path in others.iterdir())[:2]):
        shutil.copytree(others / shape, folder / "second" / f"kind {number}")
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    train(folder, first, "one")
    train(folder, folder / "second", "two", earlier=str(folder / "one"))
    return folder


def train(folder, data, run, **more):
    settings = {"plugin": "progressive", "warmup": 2, "epochs": 2, "last": 1, **more}
    return tlapp.train(
        data=str(data), backbone=f"file:{folder}/tiny.keras", image_size=SIZE, run=str(folder / run), **settings
    )  # fmt: skip


def test_the_first_tasks_answers_are_the_same_to_the_bit(place):
    import keras

    one, two = (tlapp.load(place / name).model for name in ("one", "two"))
    batch = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3)).astype("float32")
    before = np.asarray(one(batch, training=False))
    second = two.get_layer("columns")
    assert [tensor.shape[-1] for tensor in second.input][:2] == [t.shape[-1] for t in one.get_layer("columns").input]
    features = keras.Model(two.inputs, second.input[:2])([batch], training=False)
    old = np.concatenate([np.asarray(each) for each in features], axis=1)
    for layer in one.layers[-2:]:
        old = layer(old, training=False)
    np.testing.assert_array_equal(np.asarray(old), before)


def test_columns_that_are_there_do_not_train_and_the_new_one_does(place):
    one, two = (tlapp.load(place / name).model for name in ("one", "two"))
    columns = [layer.name for layer in two.layers if layer.name.startswith("column2_") and layer.weights]
    assert any(layer.endswith("from1_down") for layer in columns) or len(columns) == 1
    plan = tlapp.load(place / "two").files.plan()
    own = sum(int(np.prod(weight.shape)) for name in columns for weight in two.get_layer(name).get_weights())
    assert [phase["trains"] for phase in plan["phases"]] == [0, own]
    for layer in one.layers:
        if layer.name.startswith("column1_"):
            for a, b in zip(layer.get_weights(), two.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_column_reads_the_layers_below_of_all_columns(tensorflow):
    import keras
    from tlapp_plugins.shared.columns import column

    maps = [keras.Input((size, size, width)) for size, width in ((8, 4), (4, 6), (2, 10))]
    first = column([maps], 1, ("a", "b"), (3, 5), True)
    second = column([maps, first], 2, ("a", "b"), (3, 5), True)
    model = keras.Model(maps, second[-1])
    assert second[-1].shape == (None, 2, 2, 5)
    assert {layer.name for layer in model.layers if layer.weights} == {
        "column1_a", "column2_a", "column2_b",
        "column2_b_from0", "column2_b_from0_down", "column2_b_from1", "column2_b_from1_down",
    }  # fmt: skip
    alone = keras.Model(maps, column([maps, first], 2, ("a", "b"), (3, 5), False)[-1])
    assert {layer.name for layer in alone.layers if layer.weights} == {"column2_a", "column2_b"}


def three_maps():
    """A backbone of three stages, each of which ends with a map."""
    import keras

    image = x = keras.Input((SIZE, SIZE, 3), name="image")
    names, maps = ("a", "b", "c"), []
    for number, name in enumerate(names, 1):
        x = keras.layers.Conv2D(4 * number, 3, strides=2, padding="same", name=name)(x)
        maps.append(x)
    graph = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x))
    stages = tuple(Stage(name, 1, tuple(t.shape[1:]), (name,)) for name, t in zip(names, maps, strict=True))
    return LoadedBackbone(Backbone("toy:maps", ImageInput(SIZE), stages), graph, {name: name for name in names} | {"pool": "c"})


@pytest.mark.parametrize("laterals", [True, False])
def test_an_earlier_column_is_as_it_was_built(laterals, tmp_path, tensorflow, monkeypatch):
    """Where the next task has laterals, a column that was trained without them still has none."""
    import keras
    from tlapp_plugins.shared import columns

    loaded = three_maps()
    first = columns.Columns(0.5, 2, laterals)(loaded)
    assert any("_from0" in layer.name for layer in first.layers) == laterals
    monkeypatch.setattr(columns, "load", lambda folder: SimpleNamespace(model=first))
    second = columns.Columns(0.5, 2, True, "the run before")(loaded)
    old = [layer for layer in second.layers if layer.name.startswith("column1_")]
    assert {layer.name for layer in old} == {layer.name for layer in first.layers if layer.name.startswith("column1_")}
    assert not any(layer.trainable_weights for layer in old)
    batch = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype("float32")
    before, after = (
        np.asarray(keras.Model(graph.inputs, graph.get_layer("column1_features").output)([batch], training=False))
        for graph in (first, second)
    )
    np.testing.assert_array_equal(after, before)


def test_columns_on_other_weights_of_the_backbone_are_refused(tensorflow, monkeypatch):
    from tlapp_plugins.shared import columns

    first = columns.Columns(0.5, 1)(TinyBackbones().load("tiny"))
    monkeypatch.setattr(columns, "load", lambda folder: SimpleNamespace(model=first))
    loaded = TinyBackbones().load("tiny")
    columns.Columns(0.5, 1, earlier="the run before")(loaded)
    layer = loaded.graph.get_layer("top_conv")
    layer.set_weights([weight + 1 for weight in layer.get_weights()])
    with pytest.raises(UserError, match="other weights of the backbone"):
        columns.Columns(0.5, 1, earlier="the run before")(loaded)


def test_one_file_holds_both_tasks(place, tmp_path):
    made = tlapp.merge_tasks({name: place / name for name in ("one", "two")}, tmp_path / "both", max_drop=1.0)
    assert made["folder"]
    assert {path.name for path in (tmp_path / "both").iterdir()} >= {"labels-one.txt", "labels-two.txt"}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [({"last": 2}, "option last 1, so that its columns do not fit; expected 2"), ({"earlier": "freeze"}, "option plugin freeze")],
)
def test_columns_that_do_not_fit_are_refused(more, sentence, place, tmp_path):
    if more.get("earlier"):
        tlapp.train(
            data=str(place / "first"), backbone=f"file:{place}/tiny.keras", image_size=SIZE, plugin="freeze", epochs=1,
            run=str(place / "freeze"),
        )  # fmt: skip
        more = {"earlier": str(place / "freeze")}
    with pytest.raises(UserError, match=sentence):
        train(place, place / "second", "three", **{"earlier": str(place / "one"), **more})
    assert not (place / "three").exists()
