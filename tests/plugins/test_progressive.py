"""progressive: a second task changes nothing of the first, to the bit, and both go into one file."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import tlapp
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
