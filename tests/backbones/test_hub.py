"""SavedModels of TensorFlow Hub as backbones."""

import hashlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.hub_modules import write_hub
from helpers.networks import chain, check_export, check_facts, pictures, same

from tlapp.backbones.hub import Hub
from tlapp.errors import UserError

# SavedModels


def test_hub_trains_saves_and_exports_without_its_folder(tmp_path):
    kernel = write_hub(tmp_path / "module")
    loaded = Hub().load(str(tmp_path / "module"), image_size=8)
    check_facts(loaded)
    assert [stage.name for stage in loaded.facts.stages] == ["all"] and loaded.facts.stages[0].params == 16
    x = pictures(8)
    same(loaded.graph(x, training=False), x.mean((1, 2)) / 255 @ kernel)
    layer = loaded.graph.get_layer("hub")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded.graph(x, training=True))
    gradients = tape.gradient(loss, loaded.graph.trainable_variables)
    assert [tuple(gradient.shape) for gradient in gradients] == [(3, 5)] and float(layer.non_trainable_variables[0]) == 1
    keras.optimizers.SGD(0.5).apply(gradients, loaded.graph.trainable_variables)
    trained = loaded.graph(x, training=False).numpy()
    assert np.abs(trained - x.mean((1, 2)) / 255 @ kernel).max() > 0.01

    loaded.graph.save(tmp_path / "one.keras")
    shutil.rmtree(tmp_path / "module")
    again = keras.saving.load_model(tmp_path / "one.keras")
    again.save(tmp_path / "two.keras")
    again = keras.saving.load_model(tmp_path / "two.keras")
    same(again(x, training=False), trained)
    again.trainable = False
    assert not again.trainable_variables

    check_export(again, x, tmp_path)


def test_hub_reads_the_cache_and_the_size(tmp_path, monkeypatch):
    handle = "https://example.com/tiny/1"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    write_hub(tmp_path / "cache" / hashlib.sha1(handle.encode("utf8")).hexdigest(), size=12)
    loaded = Hub().load(handle)
    assert loaded.facts.input.size == 12 and loaded.facts.name == f"hub:{handle}"
    with pytest.raises(UserError, match=r"option image_size=16: .* takes only pictures of 12 pixels"):
        Hub().load(handle, image_size=16)


def test_hub_takes_what_keras_exports(tmp_path):
    model = chain(keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.GlobalAveragePooling2D())
    model.export(str(tmp_path / "export"), verbose=False)
    loaded = Hub().load(str(tmp_path / "export"))
    assert loaded.facts.input.size == 16 and len(loaded.graph.trainable_variables) == 4
    same(loaded.graph(pictures(16)), model(pictures(16) / 255))


def test_refusals_of_hub(tmp_path):
    write_hub(tmp_path / "module")
    with pytest.raises(UserError, match="has its own weights"):
        Hub().load(str(tmp_path / "module"), weights="none")
    (tmp_path / "module" / "tfhub_module.pb").write_bytes(b"\x08\x03")
    with pytest.raises(UserError, match="TensorFlow 1"):
        Hub().load(str(tmp_path / "module"))
    with pytest.raises(UserError, match="option backbone=hub:nowhere/at-all: "):
        Hub().load("nowhere/at-all")
    tf.saved_model.save(chain(keras.layers.Conv2D(4, 3)), str(tmp_path / "signatures"))
    with pytest.raises(UserError, match="only has signatures"):
        Hub().load(str(tmp_path / "signatures"))
