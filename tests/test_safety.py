"""Model files from elsewhere: each that could do harm is refused with its reason, nothing of it having run."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from tlapp.backbones import torch_file
from tlapp.cli.main import run
from tlapp.contracts import Fit, Plan, Strategy
from tlapp.errors import UserError
from tlapp.testing import tiny_run
from tlapp.untrusted_files import graph_fault, keras_fault, saved_model_fault


class Last(Strategy):
    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(1), epochs=1, learning_rate=1e-3),))


@pytest.fixture(scope="module")
def finished(shapes, tmp_path_factory, tensorflow):
    """A finished run of the tiny backbone."""
    folder = tmp_path_factory.mktemp("safety") / "run"
    tiny_run(Last(), shapes, folder)
    settings = (folder / "settings.yaml").read_text()
    (folder / "settings.yaml").write_text(settings.replace("plugin: partial", "plugin: freeze"))
    return folder


@pytest.fixture
def model(tmp_path, tensorflow):
    """A .keras file of three layers."""
    import keras

    path = tmp_path / "model.keras"
    image = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="conv")(image))
    keras.Model(image, keras.layers.Dense(2, activation="softmax")(x)).save(path)
    return path


def rewrite(path, change):
    """A .keras file whose config.json was changed by a function of its text."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = change(members["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def poisoned(path, **changes):
    """The first convolution of a .keras file becomes another object."""

    def change(text):
        config = json.loads(text)
        config["config"]["layers"][1].update(changes)
        return json.dumps(config)

    return rewrite(path, change)


# .keras files -------------------------------------------------------------------------------------------------------------------


def test_an_honest_model_has_no_fault(model, finished):
    assert keras_fault(model) == "" == keras_fault(finished / "model.keras")
    assert keras_fault(Path(__file__)) == ""  # Keras says itself that it is none


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class_name": "Lambda"}, "holds a Lambda"),
        ({"class_name": "TFSMLayer"}, "holds a TFSMLayer"),
        ({"class_name": "TorchModuleWrapper"}, "holds a TorchModuleWrapper"),
        ({"class_name": "__lambda__"}, "holds a lambda"),
        ({"class_name": "__typespec__"}, "holds a typespec"),
        ({"class_name": "Popen", "module": "subprocess"}, "Popen of the module subprocess"),
        ({"class_name": "function", "module": "os", "config": "system"}, "function of the module os"),
        ({"class_name": "Mine", "module": "somebody.elses", "registered_name": "theirs>Mine"}, "none of Keras's"),
    ],
)
def test_code_in_a_model_is_refused_by_every_command_that_opens_one(changes, reason, model, finished, tmp_path, shapes, capfd):
    poisoned(model, **changes)
    assert reason in keras_fault(model)
    assert run(["backbones", "show", f"file:{model}"]) == 2
    assert reason in (said := capfd.readouterr().err) and "--trust" in said
    other = tmp_path / "run"
    other.mkdir()
    for path in finished.iterdir():
        if path.is_file():
            (other / path.name).write_bytes(path.read_bytes())
    poisoned(other / "model.keras", **changes)
    settings = (other / "settings.yaml").read_text()
    (other / "settings.yaml").write_text(settings.replace("plugin: freeze", "plugin: freeze\ntrust: true"))
    picture = str(next(shapes.rglob("*.png")))
    for words in (
        ["predict", str(other), picture],
        ["evaluate", str(other), "--data", str(shapes)],
        ["export", str(other), "--format", "keras"],
    ):
        assert run(words) == 2
        assert reason in (said := capfd.readouterr().err) and "--trust" in said, words


def test_a_lambda_runs_with_trust_only(tmp_path, tensorflow, capfd):
    import keras

    mark, path = tmp_path / "ran", tmp_path / "lambda.keras"
    image = keras.Input((16, 16, 3))
    touch = eval(f"lambda x: (open({str(mark)!r}, 'w').close(), x * 2)[1]")
    x = keras.layers.Lambda(touch)(image)
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(x))).save(path)
    mark.unlink(missing_ok=True)
    assert run(["backbones", "show", f"file:{path}"]) == 2 and not mark.exists()
    assert "change files as you" in capfd.readouterr().err
    assert run(["backbones", "show", f"file:{path}", "--trust"]) == 0 and mark.exists()


def test_trust_is_no_setting(tmp_path, capfd):
    (tmp_path / "a.yaml").write_text("trust: true\n")
    assert run(["train", "--config", str(tmp_path / "a.yaml"), "--dry-run"]) == 2
    assert "trust: no such setting" in capfd.readouterr().err


def test_a_class_that_the_caller_brings_is_no_danger(model):
    poisoned(model, class_name="Mine", module="mine", registered_name="mine>Mine")
    assert keras_fault(model, {"mine>Mine"}) == "" != keras_fault(model, {"yours>Mine"})
    poisoned(model, class_name="Lambda", registered_name="mine>Mine")
    assert "Lambda" in keras_fault(model, {"mine>Mine"})


# Archives -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_a_member_outside_the_folder_is_refused(name, model):
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr(name, "x")
    assert "outside the folder" in keras_fault(model)


def test_a_link_in_an_archive_is_refused(model):
    member = zipfile.ZipInfo("assets/link")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr(member, "/etc/passwd")
    assert "outside the folder" in keras_fault(model)


def test_a_bomb_is_refused_unpacked_by_nobody(model):
    with zipfile.ZipFile(model, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("assets/zeros", "w") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    assert "a bomb" in keras_fault(model)
    with pytest.raises(UserError, match=r"a bomb.*--trust"):
        from tlapp.backbones.file import File

        File().load(str(model))


def test_many_small_bombs_are_one(model):
    with zipfile.ZipFile(model, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"assets/{number}", bytes(15 << 20))
    assert "a bomb" in keras_fault(model)


def damaged(path, name):
    """A .keras file that begins with a member that cannot be read; zipfile says so only when it is."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in {name: b"as it was", **members}.items():
            archive.writestr(each, content)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"as it was", b"as it is.", 1))
    return path


def test_a_member_that_cannot_be_read_hides_none_after_it(model):
    damaged(poisoned(model, class_name="Popen", module="subprocess"), "a/saved_model.pb")
    with zipfile.ZipFile(model) as archive:
        assert archive.namelist()[0] == "a/saved_model.pb" and archive.read("config.json")
    assert "cannot be read" in keras_fault(model)


def test_a_damaged_model_of_a_run_is_told(finished, tmp_path, shapes, capfd):
    other = tmp_path / "run"
    shutil.copytree(finished, other)
    whole = (other / "model.keras").read_bytes()
    at = whole.index(b"\x89HDF")
    for content in (b"", whole[:-60], whole[: at + 3000] + b"damaged" + whole[at + 3007 :]):
        (other / "model.keras").write_bytes(content)
        assert run(["predict", str(other), str(next(shapes.rglob("*.png")))]) == 2
        assert str(other / "model.keras") in capfd.readouterr().err


def test_two_members_of_one_name_are_refused(model):
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(model, "a") as archive:
        archive.writestr("config.json", "{}")
    assert "two members" in keras_fault(model)


def test_overlapping_members_are_refused(model):
    """Each entry of the index told to take all of the file: as many copies of one content as there are entries."""
    with zipfile.ZipFile(model) as archive:
        at = archive.start_dir
    content = bytearray(model.read_bytes())
    while content[at : at + 4] == b"PK\1\2":
        struct.pack_into("<II", content, at + 20, len(content), len(content))
        lengths = struct.unpack_from("<HHH", content, at + 28)
        at += 46 + sum(lengths)
    model.write_bytes(content)
    assert "overlap" in keras_fault(model)


def test_a_config_that_is_nested_without_end_is_refused(model):
    rewrite(model, lambda text: "[" * 200_000 + "]" * 200_000)
    assert "nested too deeply" in keras_fault(model)


def test_mutated_archives_never_end_in_a_traceback(model, tmp_path):
    from tlapp.backbones.file import File

    whole, dice, path = model.read_bytes(), random.Random(0), tmp_path / "mutant.keras"
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path.write_bytes(broken[: dice.choice([len(broken), dice.randrange(len(broken))])])
        try:
            assert File().load(str(path)).graph.outputs
        except UserError as error:
            assert str(path) in str(error)


# SavedModels --------------------------------------------------------------------------------------------------------------------


def saved_model(folder, act):
    """A SavedModel that computes means, and does `act` besides."""
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(tf.ones((3, 4)))

        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3))])
        def __call__(self, x):
            act()
            return tf.reduce_mean(x, (1, 2)) @ self.kernel

    module = Module()
    tf.saved_model.save(module, str(folder))
    return folder


def acts(folder):
    import tensorflow as tf

    target = str(folder / "written")
    return {
        "WriteFile": lambda: tf.io.write_file(target, "x"),
        "ReadFile": lambda: tf.io.read_file("/etc/passwd"),
        "SaveV2": lambda: tf.raw_ops.SaveV2(prefix=target, tensor_names=["a"], shape_and_slices=[""], tensors=[tf.ones(1)]),
        "PrintV2": lambda: tf.print("x", output_stream=f"file://{target}"),
        "EagerPyFunc": lambda: tf.py_function(lambda: 0, [], tf.int32),
        "MatchingFiles": lambda: tf.io.matching_files("/etc/*"),
    }


@pytest.mark.parametrize("operation", ["WriteFile", "ReadFile", "SaveV2", "PrintV2", "EagerPyFunc", "MatchingFiles"])
def test_a_saved_model_that_reaches_for_files_is_refused(operation, tmp_path, tensorflow, capfd):
    import tensorflow as tf

    act = acts(tmp_path)[operation]
    folder = saved_model(tmp_path / "flat", act)
    assert f"operation {operation}" in saved_model_fault(folder)
    nested = saved_model(tmp_path / "nested", lambda: tf.cond(tf.random.uniform(()) < 2, lambda: (act(), 1)[1], lambda: 2))
    assert f"operation {operation}" in saved_model_fault(nested)
    assert run(["backbones", "show", f"hub:{folder}"]) == 2
    assert f"operation {operation}" in (said := capfd.readouterr().err) and "--trust" in said
    assert not list(tmp_path.glob("written*"))


def test_a_saved_model_that_only_computes_is_none_the_worse(tmp_path, tensorflow, finished):
    import tensorflow as tf

    assert saved_model_fault(saved_model(tmp_path / "a", lambda: tf.random.normal((3,)))) == ""
    from tlapp.engine.export import ExportOptions, export, verify
    from tlapp.engine.runs.saved import SavedRun

    export(SavedRun(finished), ExportOptions(format="savedmodel", output=str(tmp_path / "out")))
    assert saved_model_fault(tmp_path / "out" / "1") == ""
    golden = tmp_path / "out" / "golden.json"
    facts = json.loads(golden.read_text())
    facts["sha256"] = {"../../../../../../etc/hostname": "0"}
    golden.write_text(json.dumps(facts))
    with pytest.raises(UserError, match="outside the folder"):
        verify(tmp_path / "out")


def test_an_exported_saved_model_that_was_swapped_is_not_run_by_verify(tmp_path, tensorflow):
    from tlapp.engine.export import golden, verify

    folder = tmp_path / "out"
    folder.mkdir()
    saved_model(folder / "1", acts(tmp_path)["WriteFile"])
    golden.write(
        folder, {"format": "savedmodel", "quantize": "none", "artifact": "1"}, np.zeros((1, 8, 8, 3), np.uint8), np.ones((1, 2))
    )
    with pytest.raises(UserError, match=r"WriteFile.*--trust"):
        verify(folder)
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("operation", ["GenerateVocabRemapping", "DecodeProtoV2", "EncodeProto", "XlaCustomCallV2", "Abort"])
def test_what_tensorflow_does_not_call_stateful_is_refused_too(operation, tensorflow):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.meta_graphs.add().graph_def.node.add(name="a", op=operation)
    assert f"operation {operation}" in graph_fault(saved.SerializeToString())


@pytest.mark.parametrize("graphs", [1, 2])
def test_what_an_older_format_restores_by_is_looked_at(graphs, tmp_path, tensorflow):
    """TensorFlow runs the operation that the saver names when it loads version 1's format, or a file of two graphs."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = saved_model(tmp_path / "a", acts(tmp_path)["WriteFile"]) / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    meta = saved.meta_graphs[0]
    del meta.graph_def.library.function[:], meta.graph_def.node[:]
    meta.graph_def.node.add(name="write", op="WriteFile")
    meta.saver_def.restore_op_name, meta.saver_def.save_tensor_name = "write", ""
    assert graph_fault(saved.SerializeToString()) == ""  # nothing calls it
    if graphs == 2:
        saved.meta_graphs.append(meta)
    else:
        meta.ClearField("object_graph_def")
    assert "operation WriteFile" in graph_fault(saved.SerializeToString())


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "saved_model.cpb"])
def test_other_forms_of_a_saved_model_are_refused(name, tmp_path, tensorflow):
    (saved_model(tmp_path / "a", lambda: None) / name).write_bytes(b"")
    assert name in saved_model_fault(tmp_path / "a")


def test_a_saved_model_inside_a_keras_file_is_looked_at(model, tmp_path, tensorflow):
    evil = saved_model(tmp_path / "evil", acts(tmp_path)["WriteFile"]) / "saved_model.pb"
    assert graph_fault(b"\xff\xff") == ""  # no SavedModel: TensorFlow says so
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr("assets/layers/hub/saved_model.pb", evil.read_bytes())
    assert "WriteFile" in keras_fault(model)


# Weights ------------------------------------------------------------------------------------------------------------------------


class Touch:
    """Pickled, it makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mknod, (str(self.path),)


@pytest.mark.parametrize("suffix", ["pth", "pt", "h5", "weights.h5", "keras", "npz"])
@pytest.mark.parametrize("kind", ["pickle", "archive"])
def test_a_pickle_that_poses_as_weights_is_refused(suffix, kind, tmp_path, capfd):
    path, mark = tmp_path / f"weights.{suffix}", tmp_path / "ran"
    content = pickle.dumps({"w": Touch(mark)})
    if kind == "archive":  # as torch.save writes since 1.6
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("weights/data.pkl", content)
        content = buffer.getvalue()
    path.write_bytes(content)
    words = ["backbones", "show", "keras-cv:efficientnet-lite0", "--image-size", "32", "--backbone-weights", str(path)]
    assert run(words) == 2
    assert str(path) in capfd.readouterr().err and not mark.exists()


def test_weights_that_point_outside_their_file_are_refused(tmp_path, capfd):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4 * 864))
    path = tmp_path / "x.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("_layer_checkpoint_dependencies/a/vars/0", (864,), "f4", external=[(str(secret), 0, 4 * 864)])
    words = ["backbones", "show", "keras-cv:efficientnet-lite0", "--image-size", "32", "--backbone-weights", str(path)]
    assert run(words) == 2
    assert str(path) in capfd.readouterr().err


def lying(storages, tensors):
    """A file of tensors in PyTorch's old format whose pickles say what they like."""
    head = (torch_file.MAGIC, 1001, {})
    tail = b"".join(struct.pack("<q", length) + content for length, content in storages)
    return b"".join(pickle.dumps(part, 2) for part in head) + tensors + tail


def test_files_of_tensors_that_lie_about_their_size_are_refused(tmp_path, monkeypatch):
    file = tmp_path / "a.pth"
    storage = torch_file.Storage("a", "<f4", 1 << 60)
    file.write_bytes(struct.pack("<q", 1 << 60) + bytes(8))
    with open(file, "rb") as content, pytest.raises(ValueError, match="larger than the file"):
        torch_file._numbers(content, storage)
    tensor = torch_file.Tensor(storage, 0, (1 << 20, 1 << 20), (0, 0))
    with pytest.raises(ValueError, match="more numbers than its storage"):
        torch_file._view(np.zeros(4, "<f4"), tensor)
    huge = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62)  # BINBYTES8 of 4 exbibytes
    far = b"\x80\x02Nr\xff\xff\xff\xff."  # LONG_BINPUT: the unpickler would make room for four thousand million values
    for content in (far, huge, b"\x80\x02" + b"(" * 100_000, lying([], huge)):
        file.write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            torch_file.read(file)


def test_mutated_files_of_tensors_are_read_or_refused(tmp_path):
    from tlapp.backbones import efficientnet_lite

    path = efficientnet_lite._locate("efficientnet-lite0", efficientnet_lite.RELEASES["efficientnet-lite0"])
    whole, dice, mutant = path.read_bytes()[:60_000], random.Random(0), tmp_path / "mutant.pth"
    for _ in range(300):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 10)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        mutant.write_bytes(broken)
        with pytest.raises(UserError, match="cannot be read"):
            torch_file.read(mutant)
