"""Presets of keras-hub that the tests save themselves: features to the bit, stages, files that open again, runs and exports."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tlapp
from tlapp import registry
from tlapp.errors import UserError
from tlapp.testing import SIZE, pictures

SCALE = {"scale": [1 / 60, 1 / 61, 1 / 62], "offset": [-1.0, -2.0, -1.5]}


@pytest.fixture(scope="module")
def hub(tensorflow):
    import keras_hub

    return keras_hub


@pytest.fixture(scope="module")
def presets(tmp_path_factory, hub):
    """A folder of tiny presets, and the class of each."""
    folder, models, layers = tmp_path_factory.mktemp("presets"), hub.models, hub.layers
    shape, tokens = (SIZE, SIZE, 3), {"num_heads": 2, "hidden_dim": 8, "num_layers": 8}
    networks = {
        "vit": (models.ViTBackbone(image_shape=shape, patch_size=8, mlp_dim=16, **tokens), layers.ViTImageConverter),
        "dino": (
            models.DINOV2Backbone(
                image_shape=shape, position_embedding_shape=shape, patch_size=8, intermediate_dim=16, **tokens
            ),
            layers.DINOV2ImageConverter,
        ),
        "mit": (
            models.MiTBackbone(
                layerwise_depths=[1, 1], num_layers=2, layerwise_num_heads=[1, 2], layerwise_sr_ratios=[2, 1], image_shape=shape,
                max_drop_path_rate=0.1, layerwise_patch_sizes=[7, 3], layerwise_strides=[4, 2], hidden_dims=[8, 16],
            ),
            layers.MiTImageConverter,
        ),
        "dense": (
            models.DenseNetBackbone(stackwise_num_repeats=[1, 1], growth_rate=4, image_shape=shape), layers.DenseNetImageConverter
        ),
    }  # fmt: skip
    for name, (network, converter) in networks.items():
        network.save_to_preset(str(folder / name))
        converter(image_size=(SIZE, SIZE), **SCALE).save_to_preset(str(folder / name))
    return folder


def load(place, **options):
    provider, name = registry.backbone(f"keras-hub:{place}")
    return provider.load(name, **options)


@pytest.mark.parametrize("name", ["vit", "dense", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dino", "mit"))])
def test_features_are_those_of_the_preset_and_the_file_opens_again(name, presets, hub, tmp_path):
    import keras

    loaded = load(presets / name)
    x = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.float32)
    network = hub.models.Backbone.from_preset(str(presets / name))
    theirs = np.asarray(keras.tree.flatten(network(x * np.float32(SCALE["scale"]) + np.float32(SCALE["offset"])))[-1])
    wanted = theirs[:, 0] if name in ("vit", "dino") else theirs.mean(tuple(range(1, theirs.ndim - 1)))
    found = np.asarray(loaded.graph(x))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert loaded.facts.input.size == SIZE == registry.backbone(f"keras-hub:{presets / name}")[0].native_size(str(presets / name))
    if name in ("vit", "dino"):  # found inside the encoder, which is one layer
        assert len(loaded.facts.stages) > 2 and loaded.facts.stages[-1].layers
    loaded.graph.save(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(keras.saving.load_model(tmp_path / "model.keras")(x)), found, rtol=1e-5, atol=1e-6)


def test_random_weights_are_not_those_of_the_preset(presets):
    one, other = (load(presets / "dense", weights=weights).graph.get_weights() for weights in (None, "none"))
    assert not np.array_equal(one[0], other[0])


@pytest.mark.slow
def test_a_run_is_opened_by_another_process_and_exported(presets, tmp_path):
    pictures(tmp_path / "data", each=16)
    run = tlapp.train(
        plugin="partial", last=1, epochs=2, data=str(tmp_path / "data"), backbone=f"keras-hub:{presets / 'vit'}",
        image_size=SIZE, run=str(tmp_path / "run"),
    )  # fmt: skip
    assert run.metrics["test"]["accuracy"] > 0
    picture = next((tmp_path / "data").rglob("*.png"))
    asked = [sys.executable, "-m", "tlapp", "predict", str(tmp_path / "run"), str(picture)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert str(picture) in said
    report = tlapp.export(str(tmp_path / "run"), format="tflite")
    assert report["passed"] and report["check"]


def test_what_it_cannot_do_is_said(presets, hub, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="has its own weights"):
        load(presets / "vit", weights="w.h5")
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match=r"no image_converter\.json"):
        load(tmp_path / "bare")
    with pytest.raises(UserError, match="keras-hub cannot load it"):
        load(presets / "vit", image_size=SIZE + 8)
    with pytest.raises(UserError, match="keras-hub cannot load it"):
        load("no_such_preset")
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(UserError, match=r"pip install 'tlapp\[hub\]'"):
        load(presets / "vit")


def test_the_list_is_that_of_the_package_without_importing_it(hub):
    provider = registry.backbone("keras-hub:any")[0]
    names = {*provider.names()}
    for network in (hub.models.ViTBackbone, hub.models.ResNetBackbone, hub.models.DINOV2Backbone):
        assert names >= {*network.presets} and network.presets
    name, facts = next(iter(hub.models.ViTBackbone.presets.items()))
    assert provider.card(name).params == facts["metadata"]["params"]
    code = (
        "import sys; from tlapp.backbones.keras_hub import KerasHub; assert KerasHub().names(); assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
