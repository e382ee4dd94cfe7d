"""Keras files as backbones: the classifier and the augmentation are cut off."""

import keras
import pytest
from helpers.networks import chain, check_facts, pictures, same, walk

from tlapp.backbones.file import File
from tlapp.errors import UserError


# Files of Keras
def classifier(end, size=16):
    """A model as tutorials make it: augmentation, a nested base, a classification layer."""
    layers = keras.layers
    base = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.ReLU(),
            layers.Conv2D(6, 3),
            layers.BatchNormalization(),
        ],
        name="base",
    )
    augment = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)], name="augment")
    x = inputs = keras.Input((size, size, 3), name="pool")
    x = layers.Rescaling(1 / 255, name="_scale")(augment(x))
    x = layers.GlobalAveragePooling2D(name="conv")(base(x, training=False))
    return keras.Model(inputs, end(x)), keras.Model(inputs, x)


@pytest.mark.parametrize(
    "end",
    [
        lambda x: keras.layers.Dense(3, activation="softmax")(keras.layers.Dropout(0.5)(x)),
        lambda x: keras.layers.Activation("softmax")(keras.layers.Dense(3)(x)),
        lambda x: keras.ops.softmax(keras.layers.Flatten()(keras.layers.Conv2D(3, 1)(keras.layers.Reshape((1, 1, 6))(x)))),
        lambda x: x,
    ],
    ids=["dense", "activation", "pointwise", "none"],
)
def test_file_loses_its_classifier_and_augmentation(end, tmp_path):
    model, features = classifier(end)
    model.save(tmp_path / "m.keras")
    loaded = File().load(str(tmp_path / "m.keras"))
    check_facts(loaded)
    walk(loaded)
    kinds = [type(operation).__name__ for operation in loaded.graph.operations]
    assert not [kind for kind in kinds if kind.startswith("Random") or kind in ("Dense", "Dropout", "Sequential")]
    assert loaded.facts.stages[-1].shape == (6,) and len(loaded.facts.stages) == 2
    fresh = File().load(str(tmp_path / "m.keras")).graph
    same(fresh(pictures(16), training=False), features(pictures(16), training=False))
    assert File().load(str(tmp_path / "m.keras"), image_size=24).graph.inputs[0].shape[1] == 24
    assert fresh.trainable_variables


def test_a_hidden_dense_layer_is_no_classifier(tmp_path):
    model, _ = classifier(keras.layers.Dense(9, activation="relu", name="hidden"))
    model.save(tmp_path / "m.keras")
    assert File().load(str(tmp_path / "m.keras")).facts.stages[-1].shape == (9,)


def test_refusals_of_file(tmp_path):
    model = chain(keras.layers.Flatten(), keras.layers.Dense(4, activation="relu"))
    model.save(tmp_path / "m.keras")
    with pytest.raises(UserError, match="has its own weights"):
        File().load(str(tmp_path / "m.keras"), weights="none")
    with pytest.raises(UserError, match=r"option image_size=20: "):
        File().load(str(tmp_path / "m.keras"), image_size=20)
    with pytest.raises(UserError, match=r"no \.keras file"):
        File().load(str(tmp_path / "absent.keras"))
    (tmp_path / "bad.keras").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot load"):
        File().load(str(tmp_path / "bad.keras"))
    chain(keras.layers.Dense(2), shape=(7,)).save(tmp_path / "rows.keras")
    with pytest.raises(UserError, match="RGB or RGBA pictures"):
        File().load(str(tmp_path / "rows.keras"))
    chain(keras.layers.Lambda(lambda x: x * 2)).save(tmp_path / "lambda.keras")
    with pytest.raises(UserError, match="holds a Lambda"):
        File().load(str(tmp_path / "lambda.keras"))


def test_the_folder_of_a_run_stands_for_its_model(tmp_path, tensorflow):
    from tlapp.backbones.file import File
    from tlapp.testing import SIZE, TinyBackbones

    run = tmp_path / "run"
    run.mkdir()
    TinyBackbones().load("tiny").graph.save(run / "any.keras")
    provider = File()
    assert provider.absolute(str(run)) == str(run / "any.keras")
    one, other = (provider.load(str(path), image_size=SIZE).graph.get_weights() for path in (run, run / "any.keras"))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))
