"""Where an export goes, and what it says of files with names that are not UTF-8."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.export.options import ExportOptions
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones, pictures


@pytest.mark.parametrize("name", ["model.tflite", "a/model.KERAS", "net.onnx", "saved_model.pb", "weights.h5"])
@pytest.mark.parametrize("kind, file", [("tflite", "model.tflite"), ("savedmodel", "1"), ("keras", "model.keras")])
def test_an_output_that_is_called_like_a_file_is_refused(name, kind, file):
    with pytest.raises(UserError, match="an export is a folder, with the model's file, its labels, its card") as refused:
        ExportOptions(format=kind, output=name).check()
    folder = Path(name).with_suffix("")
    assert str(refused.value).endswith(f"name a folder, such as {folder}: the model is then {folder / file}")


@pytest.mark.parametrize("name", ["model", "out.v2", "exports/1.0", "model.tflite.d"])
def test_other_outputs_are_folders(name):
    ExportOptions(format="tflite", output=name).check()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_run_over_files_of_any_name_is_exported(tmp_path, tensorflow, capfd):
    TinyBackbones().load("tiny").graph.save(tmp_path / "tiny.keras")
    data = pictures(tmp_path / "data", each=8)
    for number, name in enumerate(("caf\udce9.png", "line\nend.png", 'a,"b".png')):
        Image.effect_noise((SIZE, SIZE), 50 + number).convert("RGB").save(data / "circle" / name)
    run = tlapp.train(
        plugin="freeze", data=str(data), backbone=f"file:{tmp_path}/tiny.keras", image_size=SIZE, epochs=1,
        run=str(tmp_path / "run"),
    )  # fmt: skip
    output = tmp_path / "model.tflite"
    assert command(["export", str(run.folder), "--format", "tflite", "--output", str(output)]) == 2
    assert not output.exists() and "an export is a folder" in capfd.readouterr().err
    assert command(["export", str(run.folder), "--format", "tflite"]) == 0
    card = (run.folder / "export" / "tflite" / "README.md").read_text()
    counts = {label: sum(row["label"] == label for row in run.files.splits()) for label in run.labels}
    assert counts == {"circle": 11, "square": 8, "stripe": 8}
    for label, count in counts.items():
        first = next(line for line in card.splitlines() if line.startswith(f"| {label} |"))  # | circle | train | val | test |
        assert sum(map(int, first.strip("| ").split(" | ")[1:])) == count
