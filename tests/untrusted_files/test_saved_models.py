"""A SavedModel that reaches for files is refused before it is loaded."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from tlapp.cli.main import run
from tlapp.errors import UserError
from tlapp.untrusted_files import graph_fault, keras_fault, saved_model_fault


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
    from tlapp.engine.export.export import export
    from tlapp.engine.export.options import ExportOptions
    from tlapp.engine.export.verify import verify
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
    from tlapp.engine.export import golden
    from tlapp.engine.export.verify import verify
    from tlapp.engine.inputs.image_export import ImageExport

    folder = tmp_path / "out"
    folder.mkdir()
    saved_model(folder / "1", acts(tmp_path)["WriteFile"])
    golden.write(
        folder, {"format": "savedmodel", "quantize": "none", "artifact": "1"}, ImageExport(size=8),
        {"image": np.zeros((1, 8, 8, 3), np.uint8)}, np.ones((1, 2)),
    )  # fmt: skip
    with pytest.raises(UserError, match=r"WriteFile.*option trust"):
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
