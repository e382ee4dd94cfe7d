"""One finished run on images of three colours, and its exports: made once for all files here. No test changes them.

Its network has the default one's operations (tests/engine/export/quantize/test_kept_layers.py exports that) in few layers, and so
many weights that a file's size tells how they are stored.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.artifacts import CLASSES
from PIL import Image

import tlapp
from tlapp.engine.export import export
from tlapp.engine.export.options import ExportOptions
from tlapp.testing import TinyBackbones

SIZE = 32


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with pictures of three colours in several formats."""
    folder = tmp_path_factory.mktemp("export")
    dice = np.random.default_rng(0)
    for name, colour in CLASSES.items():
        (folder / "data" / name).mkdir(parents=True)
        for i in range(24):
            noise = dice.normal(0, 15, (6, 9, 3)) + colour
            picture = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).resize((90, 60), Image.Resampling.BICUBIC)
            suffix = ("jpg", "png", "webp")[i % 3]
            picture.save(folder / "data" / name / f"{i:02}.{suffix}", quality=95)
    return folder


def wide(path):
    """Write the tiny network with a last stage of 148,000 weights."""
    import keras

    keras.utils.set_random_seed(7)
    layers, tiny = keras.layers, TinyBackbones().load("tiny").graph
    x = tiny.get_layer("middle_add").output
    for layer in (
        layers.Conv2D(1024, 3, strides=2, padding="same", use_bias=False, name="wide_conv"),
        layers.BatchNormalization(name="wide_norm"),
        layers.ReLU(6.0, name="wide_relu"),
        layers.GlobalAveragePooling2D(name="wide_pool"),
    ):
        x = layer(x)
    keras.Model(tiny.inputs, x, name="wide").save(path)


@pytest.fixture(scope="session")
def run(world, tensorflow):
    wide(world / "wide.keras")
    return tlapp.train(
        plugin="freeze",
        backbone=f"file:{world}/wide.keras",
        data=str(world / "data"),
        run=str(world / "run"),
        image_size=SIZE,
        epochs=12,
        learning_rate=0.01,
        test_share=0.4,
    )


@pytest.fixture(scope="session")
def test_pictures(run):
    from tlapp.engine.export.reference import load
    from tlapp.engine.report import Silent

    found = load(run, None, ("test",), 12, Silent())
    test = found.streams["test"]
    return found, test.examples.take(np.arange(len(test)))[0]


@pytest.fixture(scope="session")
def saved_model(run):
    return export.export(run, ExportOptions(format="savedmodel"))


@pytest.fixture(scope="session")
def served(saved_model):
    import tensorflow as tf

    return tf.saved_model.load(f"{saved_model['folder']}/1")


@pytest.fixture(scope="session")
def tflite(run):
    return export.export(run, ExportOptions(format="tflite", author="Ada"))


@pytest.fixture(scope="session")
def int8(run):
    return export.export(run, ExportOptions(format="tflite", quantize="int8", max_drop=0.05))


@pytest.fixture
def copied(tflite, tmp_path):
    return Path(shutil.copytree(tflite["folder"], tmp_path / "elsewhere"))
