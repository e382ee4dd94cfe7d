"""Artifacts as the programs of others open them: TensorFlow's own command line, a server's folders, ONNX Runtime."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tlapp
from tlapp.engine.export import export
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.verify import verify
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones, pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return str(pictures(tmp_path_factory.mktemp("pictures"), each=12))


def train(folder, data, backbone):
    return tlapp.train(plugin="freeze", data=data, backbone=backbone, image_size=SIZE, epochs=2, run=str(folder / "run"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, data, tensorflow):
    folder = tmp_path_factory.mktemp("tiny")
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    return train(folder, data, f"file:{folder}/tiny.keras")


@pytest.fixture(scope="module")
def saved_model(run):
    return Path(export.export(run, ExportOptions(format="savedmodel"))["folder"])


@pytest.mark.slow
def test_saved_model_cli_shows_the_signatures(saved_model):
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "show", "--dir", str(saved_model / "1"), "--all"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name, tensor, kind, shape in (
        ("serving_default", "image", "DT_FLOAT", f"(-1, {SIZE}, {SIZE}, 3)"),
        ("serve_uint8", "image", "DT_UINT8", f"(-1, {SIZE}, {SIZE}, 3)"),
        ("serve_bytes", "contents", "DT_STRING", "(-1)"),
    ):
        _, _, rest = done.stdout.partition(f"signature_def['{name}']")
        part = rest.partition("signature_def[")[0]
        inputs, _, outputs = part.partition("SavedModel SignatureDef contains the following output(s)")
        assert f"inputs['{tensor}']" in inputs and f"dtype: {kind}" in inputs and f"shape: {shape}" in inputs
        assert "outputs['probabilities']" in outputs and "outputs['label']" in outputs and "shape: (-1, 3)" in outputs


def test_verify_opens_a_keras_file_with_layers_of_its_backbone(tmp_path, data, tensorflow):
    from helpers.hub_modules import write_hub

    from tlapp.api import layers

    write_hub(tmp_path / "module")
    run = train(tmp_path, data, f"hub:{tmp_path}/module")
    folder = export.export(run, ExportOptions(format="keras"))["folder"]
    asked = []

    def spy(backbone):
        asked.append(backbone)
        return layers(backbone)

    assert verify(folder, spy)["largest_difference"] < 1e-4
    assert asked == ["hub:module"]  # an export does not tell the folders of the machine that made it


@pytest.mark.slow
def test_verify_of_a_hub_model_in_a_process_of_its_own(tmp_path, data, tensorflow):
    from helpers.hub_modules import write_hub

    write_hub(tmp_path / "module")
    run = train(tmp_path, data, f"hub:{tmp_path}/module")
    folder = export.export(run, ExportOptions(format="keras"))["folder"]
    code = "import sys; from tlapp.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "verify", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "unchanged; 6 pictures" in done.stdout, done.stderr


def test_onnx_is_the_model(run):
    import onnxruntime

    report = export.export(run, ExportOptions(format="onnx"))
    assert report["passed"] and report["check"]["agreement"] == 1
    session = onnxruntime.InferenceSession(f"{report['folder']}/model.onnx", providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    batch = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3)).astype(np.float32)
    (found,) = session.run(None, {source.name: batch})
    assert np.allclose(found, run.probabilities(batch), atol=1e-4)
    assert verify(report["folder"])["largest_difference"] < 1e-4


@pytest.mark.parametrize("missing", ["tf2onnx", "onnxruntime"])
def test_onnx_without_its_packages_says_what_to_install(missing, run, tmp_path, monkeypatch):
    import keras

    def missing_package(*arguments, **options):
        raise ImportError("tf2onnx")

    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "tf2onnx":  # Keras holds it once it has been imported
        monkeypatch.setattr(keras.Model, "export", missing_package)
    with pytest.raises(UserError, match=r"format.onnx: .*pip install 'tlapp\[onnx\]'"):
        export.export(run, ExportOptions(format="onnx", output=str(tmp_path / "onnx")))
    assert not list(tmp_path.iterdir())
