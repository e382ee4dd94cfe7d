"""What fails its check is removed, nothing is overwritten, and images that have moved are asked for."""

import json

import pytest
from helpers.artifacts import answering, spoilt

from tlapp.cli.main import run as command
from tlapp.engine.export import export
from tlapp.engine.export.options import ExportOptions
from tlapp.errors import UserError


def test_a_failing_check_removes_the_artifact(run, world, monkeypatch, capfd):
    spoilt(monkeypatch, run)
    output = world / "spoilt" / "it"
    assert command(["export", str(run.folder), "--format", "keras", "--output", str(output)]) == 2
    assert "top label differs" in capfd.readouterr().err
    assert list(output.parent.iterdir()) == []


def test_allow_drop_keeps_it(run, world, monkeypatch):
    spoilt(monkeypatch, run)
    report = export.export(run, ExportOptions(format="keras", allow_drop=True, output=str(world / "kept")))
    assert not report["passed"] and json.loads((world / "kept" / "export.json").read_text())["check"]["fault"]


def test_nothing_is_written_over(run, tflite):
    with pytest.raises(UserError, match="already exists"):
        export.export(run, ExportOptions(format="tflite"))


def test_only_tflite_is_quantised(run):
    with pytest.raises(UserError, match="only tflite can be quantised"):
        export.export(run, ExportOptions(format="savedmodel", quantize="int8"))


def test_pictures_that_have_moved(run, world, monkeypatch):
    answering(monkeypatch, run, lambda found: found)
    (world / "data").rename(world / "moved")
    try:
        with pytest.raises(UserError, match="set option data"):
            export.export(run, ExportOptions(format="keras", output=str(world / "gone")))
        report = export.export(run, ExportOptions(format="keras", data=str(world / "moved"), output=str(world / "found")))
        assert (
            report["check"]["n"] == run.metrics["test"]["n"]
            and report["check"]["accuracy_after"] == run.metrics["test"]["accuracy"]
        )
    finally:
        (world / "moved").rename(world / "data")
