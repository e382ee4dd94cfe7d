"""A run folder and an export that tlapp 0.1.0 wrote still work: predict, evaluate, export, verify, and its settings repeat it.

tests/data/run-0.1.0 holds both, with the backbone and the images; `{folder}` in splits.csv stands for where they lie.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tlapp.cli.main import run

DATA = Path(__file__).parent / "data" / "run-0.1.0"


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A copy of it all, with the paths filled in, as the working folder."""
    folder = Path(shutil.copytree(DATA, tmp_path / "old"))
    splits = folder / "run" / "splits.csv"
    splits.write_text(splits.read_text().replace("{folder}", folder.as_posix()))
    monkeypatch.chdir(folder)
    return folder


def answer(capfd, *words):
    assert run([*words, "--json"]) == 0, capfd.readouterr().err
    return json.loads(capfd.readouterr().out)


def test_it_holds_no_path_of_a_machine():
    for path in DATA.rglob("*"):
        if path.suffix in (".csv", ".json", ".yaml", ".md", ".txt"):
            assert "/tmp/" not in path.read_text() and "/home/" not in path.read_text(), path
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 300_000


def test_predict_answers_as_0_1_0_did(old, capfd):
    before = json.loads((old / "predict.json").read_text())["predictions"]
    now = answer(capfd, "predict", "run", *(each["file"] for each in before))["predictions"]
    for one, other in zip(before, now, strict=True):
        assert one["file"] == other["file"] and one["labels"] == pytest.approx(other["labels"], abs=2e-6)


def test_evaluate_measures_as_0_1_0_did(old, capfd):
    before, now = json.loads((old / "evaluate.json").read_text()), answer(capfd, "evaluate", "run", "--data", "images")
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "n"):
        assert now[name] == before[name]
    assert now["loss"] == pytest.approx(before["loss"], abs=1e-5)


@pytest.mark.parametrize("data", [[], ["--data", "images"]])
def test_it_is_exported(data, old, capfd):
    report = answer(capfd, "export", "run", "--format", "tflite", "--output", "again", *data)
    assert report["passed"] and (old / "again" / "model.tflite").is_file()


def test_its_export_is_verified(old, capfd):
    assert answer(capfd, "verify", "exported")["largest_difference"] < 1e-4


def test_its_settings_are_accepted(old, capfd):
    assert run(["train", "--config", "run/settings.yaml", "--run", "new", "--dry-run"]) == 0
    assert "tune" in capfd.readouterr().err


@pytest.mark.slow
def test_its_settings_repeat_the_run(old, capfd):
    assert run(["train", "--config", "run/settings.yaml", "--run", "new"]) == 0
    assert (old / "new" / "history.csv").read_text() == (old / "run" / "history.csv").read_text()
