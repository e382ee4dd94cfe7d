"""Networks of KerasCV: stages, sizes, export, weights and refusals."""

import sys
from unittest import mock

import keras
import pytest
from helpers.networks import ONE_OF_EACH, ONE_OF_EACH_CV, check_export, check_facts, pictures, reloaded, same, walk

from tlapp.backbones.keras_applications import KerasApplications
from tlapp.backbones.keras_cv import KerasCV, _keras_cv
from tlapp.backbones.keras_cv_networks import NETWORKS
from tlapp.errors import UserError


# KerasCV
def test_tensorflow_datasets_is_imported_by_who_uses_it(monkeypatch, tmp_path):
    """Its import would make those of the thread that reads the data meanwhile fail."""
    (tmp_path / "keras_cv.py").write_text("import tensorflow_datasets as tfds\n")
    (tmp_path / "tensorflow_datasets.py").write_text("load = 'loads'\n")
    monkeypatch.syspath_prepend(tmp_path)
    with mock.patch.dict(sys.modules):
        for name in [name for name in sys.modules if name.partition(".")[0] in ("keras_cv", "tensorflow_datasets")]:
            del sys.modules[name]
        package = _keras_cv()
        assert "tensorflow_datasets" not in sys.modules
        assert package.tfds.load == "loads" and "tensorflow_datasets" in sys.modules


def test_every_classification_network_of_keras_cv_is_known():
    import keras_cv

    left_out = ("MiT", "ViTDet", "VideoSwin", "YOLO", "CenterPillar")
    found = {name for name in dir(keras_cv.models) if name.endswith("Backbone") and not name.startswith(left_out)} - {"Backbone"}
    known = {network.preset for network in NETWORKS.values()}
    for name in found:
        assert {preset.removesuffix("_imagenet") for preset in getattr(keras_cv.models, name).presets} <= known, name


SLOW = ("efficientnetv1-b0", "efficientnetv2-b0", "densenet121", "vgg16", "csp-darknet-tiny")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in ONE_OF_EACH_CV])
def test_keras_cv_families(name, tmp_path):
    loaded = KerasCV().load(name, image_size=64, weights="none")
    check_facts(loaded)
    check_size(loaded, name)
    assert 4 <= len(loaded.facts.stages) <= 9
    walk(loaded)
    x = pictures(64)
    same(reloaded(loaded.graph, tmp_path)(x), loaded.graph(x))


def check_size(loaded, name):
    """The parameter count of the library's metadata, which is up to 0.6 % off: some count a head, or are of an older version."""
    import keras_cv

    network = NETWORKS[name]
    count = getattr(keras_cv.models, network.family).presets.get(network.preset, {}).get("metadata", {}).get("params")
    assert count is None or abs(loaded.graph.count_params() / count - 1) < 0.007


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ONE_OF_EACH, *ONE_OF_EACH_CV])
def test_every_family_exports(name, tmp_path):
    size = ONE_OF_EACH.get(name, 64)
    provider = KerasApplications() if name in ONE_OF_EACH else KerasCV()
    loaded = provider.load(name, image_size=size, weights="none")
    walk(loaded, crossing=2 if name.startswith("NASNet") else 1)
    check_export(loaded.graph, pictures(size), tmp_path)
    keras.utils.clear_session()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_all_of_keras_cv(name):
    loaded = KerasCV().load(name, image_size=64, weights="none")
    check_facts(loaded)
    check_size(loaded, name)
    walk(loaded)
    keras.utils.clear_session()


@pytest.mark.parametrize(
    "name", ["resnet18", *(pytest.param(n, marks=pytest.mark.slow) for n in ("csp-darknet-tiny", "mobilenet-v3-small"))]
)
def test_keras_cv_weights_from_a_file(name, tmp_path):
    """The same function as the library's own network, although some of its layers are replaced."""
    import keras_cv

    network = NETWORKS[name]
    library = getattr(keras_cv.models, network.family)
    theirs = library(**network.config, include_rescaling=True, input_shape=(32, 32, 3))
    theirs.save_weights(tmp_path / "r.weights.h5")
    ours = KerasCV().load(name, image_size=32, weights=str(tmp_path / "r.weights.h5"))
    x = pictures(32)
    same(ours.graph(x), theirs(x).numpy().mean((1, 2)))


def test_a_backbone_is_named_the_same_whenever_it_is_built():
    one, two = (KerasCV().load("resnet18", image_size=32, weights="none") for _ in range(2))
    assert one.facts == two.facts and list(one.stage_of) == list(two.stage_of) and one.weights == "random"
    fresh = keras.layers.Rescaling(1.0)
    assert fresh.name not in one.stage_of


def test_refusals_of_keras_cv():
    with pytest.raises(UserError, match=r"keras/resnetv2/keras/resnet50_v2_imagenet.*option backbone_weights=none"):
        KerasCV().load("resnet50-v2", image_size=32)
    with pytest.raises(UserError, match=r"did you mean .*resnet50-v2"):
        KerasCV().load("resnet50v2")
