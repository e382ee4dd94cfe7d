"""`tlapp runs`: what is under saved_models."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.command import tlapp

from tlapp.cli.main import run
from tlapp.engine.data.intervals import share

OLD = Path(__file__).parents[1] / "data" / "run-0.1.0" / "run"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder whose saved_models holds runs in every state, and what is no run."""
    root = tmp_path_factory.mktemp("place")
    models = root / "saved_models"
    shutil.copytree(OLD, models / "finished")
    for name in ("stopped", "under way"):
        shutil.copytree(OLD, models / name, ignore=shutil.ignore_patterns("metrics.json"))
    (models / "under way" / ".lock").touch()
    for name, file, text in (
        ("broken", "settings.yaml", "{"),
        ("a list", "settings.yaml", "- 1"),
        ("half", "settings.yaml", "plugin: full\n"),
        ("foreign", "notes.txt", ""),
    ):
        (models / name).mkdir()
        (models / name / file).write_text(text)
    shutil.copytree(OLD, models / "bad metrics")
    (models / "bad metrics" / "metrics.json").write_text("{")
    (models / "file").write_text("")
    for age, name in enumerate(("under way", "finished", "stopped", "bad metrics", "half", "broken", "a list")):
        os.utime(models / name / "settings.yaml", (1_700_000_000 - age * 60,) * 2)
    return root


def test_every_run_is_listed_the_newest_first(place):
    with FileLock(place / "saved_models" / "under way" / ".lock"):
        done = tlapp("runs", "--json", cwd=place)
    found = json.loads(done.stdout)["runs"]
    assert [(each["name"], each["state"]) for each in found] == [
        ("under way", "training"), ("finished", "finished"), ("stopped", "unfinished"), ("bad metrics", "unreadable"),
        ("half", "unfinished"), ("broken", "unreadable"), ("a list", "unreadable"),
    ]  # fmt: skip
    first = found[1]
    metrics = json.loads((OLD / "metrics.json").read_text())
    assert first["accuracy"] == metrics["test"]["accuracy"] and first["pictures"] == 18
    assert (first["strategy"], first["backbone"], first["data"]) == ("partial", "file:backbone.keras", "images")
    assert first["bytes"] > 1000 and first["begun"].startswith("2023-11-1")
    assert found[2]["accuracy"] is None and found[2]["pictures"] == 18


def test_the_list_for_people(place, monkeypatch, capfd):
    monkeypatch.chdir(place)
    assert run(["runs"]) == 0
    said = capfd.readouterr().out
    assert "finished" in said and "partial of file:backbone.keras on images (18 pictures)" in said and "unreadable" in said
    assert run(["runs", "saved_models/finished"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 2


GARBAGE = {
    "text": ("metrics.json", '{"test": {"accuracy": "high"}}', "finished"),
    "nan": ("metrics.json", '{"test": {"accuracy": NaN}}', "finished"),
    "huge": ("metrics.json", '{"test": {"accuracy": 1' + "0" * 400 + "}}", "finished"),
    "counts": ("metrics.json", '{"images": {"train": NaN}}', "unreadable"),
    "deep": ("metrics.json", "[" * 100_000, "unreadable"),
    "deep settings": ("settings.yaml", "a: " + "[" * 3000 + "]" * 3000, "unreadable"),
    "digits": ("settings.yaml", "plugin: 0x" + "f" * 6000, "unreadable"),
}
"""Names of runs -> a file of each, what is in it, and the state of the run."""


def test_garbage_hides_no_other_run(tmp_path, monkeypatch, capfd):
    for name, (file, text, _) in {**GARBAGE, "good": ("metrics.json", '{"test": {"accuracy": 0.5}}', "")}.items():
        shutil.copytree(OLD, tmp_path / name)
        (tmp_path / name / file).write_text(text)
    assert run(["runs", str(tmp_path), "--json"]) == 0
    said = capfd.readouterr().out
    assert "NaN" not in said
    found = {each["name"]: (each["state"], each["accuracy"]) for each in json.loads(said)["runs"]}
    assert found == {**{name: (state, None) for name, (_, _, state) in GARBAGE.items()}, "good": ("finished", 0.5)}
    assert run(["runs", str(tmp_path)]) == 0
    assert "test 0.5000" in capfd.readouterr().out


def test_the_interval_and_what_was_exported(tmp_path, capfd):
    shutil.copytree(OLD, tmp_path / "one")
    test = json.loads((OLD / "metrics.json").read_text())["images"]["test"]
    for name in ("tflite-int8", "savedmodel"):
        (tmp_path / "one" / "export" / name).mkdir(parents=True)
    assert run(["runs", str(tmp_path), "--json"]) == 0
    (found,) = json.loads(capfd.readouterr().out)["runs"]
    assert found["interval"] == pytest.approx(share(found["accuracy"] * test, test)) and found["exported"] == [
        "savedmodel",
        "tflite-int8",
    ]
    assert run(["runs", str(tmp_path)]) == 0
    said, (low, high) = capfd.readouterr().out, found["interval"]
    assert f"({low:.2f} to {high:.2f})  finished" in said and ", exported: savedmodel, tflite-int8" in said


def test_nothing_there(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(["runs"]) == 0
    assert capfd.readouterr().out == "no runs in saved_models\n"
    assert run(["runs", "nowhere"]) == 2
    assert "nowhere: there is no such folder" in capfd.readouterr().err
