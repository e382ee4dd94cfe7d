"""Networks of keras.applications: stages, preprocessing, weights and refusals."""

import logging
import sys

import keras
import numpy as np
import pytest
from helpers.networks import ONE_OF_EACH, chain, check_facts, pictures, reloaded, same, walk

from tlapp.backbones.keras_applications import SIZES, KerasApplications
from tlapp.contracts.graph import steps
from tlapp.errors import UserError


# keras.applications
def family(name):
    return sys.modules[getattr(keras.applications, name).__module__]


def test_every_family_of_keras_applications_is_tested():
    ours = {family(name) for name in ONE_OF_EACH}
    alike = {"inception_resnet_v2": "inception_v3", "vgg19": "vgg16"}  # same preprocessing; the slow tests run them
    missing = {family(name).__name__.rpartition(".")[2] for name in KerasApplications().names() if family(name) not in ours}
    assert missing <= set(alike)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n == "NASNetMobile" else []) for n in ONE_OF_EACH])
def test_keras_applications_stages_and_preprocessing(name):
    loaded = KerasApplications().load(name, image_size=ONE_OF_EACH[name], weights="none")
    check_facts(loaded)
    assert 4 <= len(loaded.facts.stages) <= 12
    check_preprocessing(loaded, name)
    walk(loaded, crossing=2 if name.startswith("NASNet") else 1)


def check_preprocessing(loaded, name):
    x = pictures(loaded.facts.input.size, seed=1)
    ours = {step.operation.name: step.outputs[0] for step in steps(loaded.graph)}.get("rescale", loaded.graph.inputs[0])
    ours = keras.Model(loaded.graph.inputs[0], keras.layers.Identity()(ours))(x)
    np.testing.assert_allclose(ours, family(name).preprocess_input(x.copy()), atol=1e-4, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", KerasApplications().names())
def test_all_of_keras_applications(name, tmp_path):
    size = 75 if name.startswith(("Inception", "Xception")) else 32
    loaded = KerasApplications().load(name, image_size=size, weights="none")
    check_facts(loaded)
    assert 4 <= len(loaded.facts.stages) <= 12
    check_preprocessing(loaded, name)
    walk(loaded, crossing=2 if name.startswith("NASNet") else 1)
    if loaded.graph.count_params() < 3e7:
        x = pictures(size)
        same(reloaded(loaded.graph, tmp_path)(x), loaded.graph(x))
    keras.utils.clear_session()


def test_native_sizes_are_the_librarys(monkeypatch):
    class FoundSize(Exception):
        pass

    def stop(*_, default_size, **__):
        raise FoundSize(default_size)

    monkeypatch.setattr("keras.src.applications.imagenet_utils.obtain_input_shape", stop)
    sizes = {}
    for name in KerasApplications().names():
        if "MobileNetV3" not in name:  # which has no default
            with pytest.raises(FoundSize) as found:
                getattr(keras.applications, name)(weights=None, include_top=False)
            sizes[name] = found.value.args[0]
    assert sizes == {name: SIZES.get(name, 224) for name in sizes}


def test_a_local_file_is_the_same_function_as_a_download(monkeypatch, tmp_path):
    """EfficientNet rescales twice with its ImageNet weights, and once without."""
    plain = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    plain.save_weights(tmp_path / "local.weights.h5")
    ours = KerasApplications().load("EfficientNetB0", image_size=32, weights=str(tmp_path / "local.weights.h5"))
    assert ours.weights == "local.weights.h5"
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(tmp_path / "local.weights.h5"))
    theirs = keras.applications.EfficientNetB0(include_top=False, pooling="avg", input_shape=(32, 32, 3))
    x = pictures(32)
    same(ours.graph(x), theirs(x))
    assert np.abs(ours.graph(x) - plain(x).numpy().mean((1, 2))).max() > 1e-3 * np.abs(ours.graph(x)).max()


def test_a_download_that_fails_says_what_to_do(monkeypatch, caplog, capsys, tmp_path):
    def fail(*_, **__):
        print("0/1 of it")
        raise Exception("URL fetch failure")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.utils, "get_file", fail)
    caplog.set_level(logging.INFO, "tlapp")
    with pytest.raises(UserError) as caught:
        KerasApplications().load("MobileNetV2", image_size=32)
    file = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    for part in (
        f"https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/{file}",
        "option backbone_weights=FILE",
    ):
        assert part in str(caught.value)
    assert str(tmp_path / "models") in str(caught.value) and str(caught.value).endswith(file)
    assert "downloading" in caplog.text and not capsys.readouterr().out


def test_refusals_of_keras_applications(tmp_path):
    load = KerasApplications().load
    with pytest.raises(UserError, match=r"did you mean MobileNetV2\?"):
        load("mobilenetv2", weights="none")
    with pytest.raises(UserError, match=r"option image_size=20: keras:MobileNet .*at least 32"):
        load("MobileNet", image_size=20, weights="none")
    with pytest.raises(UserError, match="no such file"):
        load("MobileNet", image_size=32, weights=str(tmp_path / "absent.h5"))
    chain(keras.layers.Conv2D(2, 1)).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(UserError, match=r"option backbone_weights=.*other.weights.h5: not the weights of this backbone"):
        load("MobileNet", image_size=32, weights=str(tmp_path / "other.weights.h5"))
