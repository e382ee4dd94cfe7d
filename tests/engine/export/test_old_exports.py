"""A run and its exports, written before a run's input was recorded, still serve."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.export.export import export
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.verify import verify
from tlapp.engine.inputs.digits import digits

OLD = Path(__file__).parents[2] / "data" / "old_run"


@pytest.fixture
def old(tmp_path):
    return Path(shutil.copytree(OLD, tmp_path / "old_run"))


@pytest.mark.parametrize("kind", ["tflite", "savedmodel"])
def test_an_old_export_is_verified(kind, old, tensorflow):
    facts = json.loads((old / "export" / kind / "golden.json").read_text())
    assert "input" not in facts
    result = verify(old / "export" / kind)
    assert result["images"] == 8 and result["largest_difference"] < 1e-4


def test_an_old_run_is_read(old, tmp_path, tensorflow, capfd):
    run = tlapp.load(old)
    assert run.input.kind == "image" and run.image_size == 32 and run.labelling.kind == "one"
    from PIL import Image

    images, labels = digits()
    file = tmp_path / "digit.png"
    Image.fromarray(np.asarray(images[0])).save(file)
    assert run.predict([file])[0].label in run.labels and len(labels)
    assert command(["evaluate", str(old), "--data", "builtin:digits", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["accuracy"] > 0.2


def test_an_old_run_is_exported(old, tmp_path, tensorflow):
    report = export(tlapp.load(old), ExportOptions(format="tflite", output=str(tmp_path / "new")))
    assert report["passed"] and report["check"]["n"] == tlapp.load(old).metrics["test"]["n"]
    assert report["check"]["accuracy_before"] == tlapp.load(old).metrics["test"]["accuracy"]
    assert verify(tmp_path / "new")["largest_difference"] < 1e-5
