"""A format of exports is one object: registered, it is written, checked, verified, described and loaded as the built-in ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tlapp
from tlapp.engine.export import formats
from tlapp.engine.export.export import export
from tlapp.engine.export.formats.artifact import Answers, blocks, timed
from tlapp.engine.export.formats.format import Format, labels_beside
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.verify import verify
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones, pictures

NETWORK = """\
weights = list(np.load(FILE).values())
shapes = {"image": (1, 32, 32, 3)}


def convolution(x, kernel):  # 3 x 3, stride 2, as much padding as TensorFlow's "same"
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 1), (0, 1), (0, 0))), (3, 3), (0, 1))[::2, ::2]
    return np.einsum("hwcij,ijco->hwo", windows, kernel)


def depthwise(x, kernel):  # 3 x 3, stride 1
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((1, 1), (1, 1), (0, 0))), (3, 3), (0, 1))
    return np.einsum("hwcij,ijc->hwc", windows, kernel[..., 0])


def classify(inputs):
    x = inputs["image"][0].astype("float32") / 127.5 - 1
    for stage, (kernel, gamma, beta, mean, variance) in enumerate((weights[0:5], weights[5:10], weights[13:18])):
        x = np.clip((convolution(x, kernel) - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0, 6)
        if stage == 1:
            x = x + depthwise(x, weights[10]) @ weights[11][0, 0] + weights[12]
    values = np.exp(x.mean((0, 1)) @ weights[18] + weights[19])
    return values / values.sum()
"""


class Npz(Format):
    """The weights of the tiny network, run by NumPy."""

    name, file, words, library = "npz", "weights.npz", "for NumPy", "numpy"
    loading = NETWORK.replace("FILE", '"weights.npz"')

    def write(self, material, way):
        np.savez(material.folder / self.file, *[variable.numpy() for variable in material.model.variables])
        return {"artifact": self.file}

    def ask(self, artifact, questions):
        program = {"np": np, "FILE": artifact}
        exec(NETWORK, program)
        probabilities = np.stack([program["classify"](one) for one in blocks(questions.examples, 1)])
        first = next(blocks(questions.examples, 1))
        return Answers(probabilities, labels_beside(artifact), timed(lambda: program["classify"](first)))


@pytest.fixture
def run(tmp_path, tensorflow):
    TinyBackbones().load("tiny").graph.save(tmp_path / "tiny.keras")
    data = pictures(tmp_path / "data", each=10)
    return tlapp.train(
        plugin="freeze",
        data=str(data),
        backbone=f"file:{tmp_path}/tiny.keras",
        image_size=SIZE,
        epochs=2,
        run=str(tmp_path / "run"),
    )  # fmt: skip


def test_one_object_is_a_format(run, monkeypatch):
    with pytest.raises(UserError, match="must be one of savedmodel, tflite, keras, onnx"):
        export(run, ExportOptions(format="npz"))
    monkeypatch.setitem(formats.table(), "npz", Npz())
    report = export(run, ExportOptions(format="npz"))
    folder = Path(report["folder"])
    assert report["passed"] and report["check"]["agreement"] == 1 and folder == run.folder / "export" / "npz"
    assert verify(folder)["largest_difference"] < 1e-5
    card = (folder / "README.md").read_text()
    assert "library_name: numpy" in card and "def convolution" in card
    (folder / "classify.py").write_text(card.partition("```python\n")[2].partition("```")[0])
    file = run.files.splits()[0]["path"]
    done = subprocess.run([sys.executable, "classify.py", file], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == run.predict([file])[0].label
    with pytest.raises(UserError, match="only tflite can be quantised"):
        export(run, ExportOptions(format="npz", quantize="int8"))
    facts = json.loads((folder / "golden.json").read_text())
    (folder / "weights.npz").write_bytes(b"other")
    assert facts["artifact"] == "weights.npz"
    with pytest.raises(UserError, match="was changed since it was exported"):
        verify(folder)


def test_a_format_is_one_file_and_one_line():
    folder = Path(formats.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if "\nFORMAT = " in path.read_text()}
    assert files == set(formats.NAMES) == set(formats.table())
    others = [path for path in folder.parents[2].rglob("*.py") if path.parent != folder]
    assert [path.name for path in others if '"onnx"' in path.read_text()] == []
