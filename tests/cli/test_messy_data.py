"""A folder as people have it: what `train` says of it, leaves in the run folder and gives as JSON. One run, asked many things."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
from PIL import Image

from tlapp.cli import main
from tlapp.cli.notes_shown import FILE, shown_before
from tlapp.cli.result import result_lines
from tlapp.engine.inputs import formats
from tlapp.testing import pictures

TRAIN = ["train", "--data", "messy", "--plugin", "freeze", "--epochs", "2", "--image-size", "32", "--on-bad", "skip", "--json"]
UNREAD = "--data messy: 3 files are not read: 2 .svg (convert to JPEG or PNG), 1 without an extension (not pictures)"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with a messy set in it: 24 + 5 pictures, one of them bad."""
    formats.register()
    place = tmp_path_factory.mktemp("place")
    root = pictures(place / "messy", each=8)
    first = Image.open(root / "circle" / "000.png")
    for name, kind, step in (("phone.heic", "HEIF", 8), ("web.avif", "AVIF", 6), ("bare", "PNG", 4)):
        with open(root / "circle" / name, "wb") as file:
            first.crop((0, 0, 32, 24 + step)).resize((32, 32)).rotate(step).save(file, kind)
    (root / "circle" / "copy.png").write_bytes((root / "circle" / "000.png").read_bytes())
    (root / "square" / "other.png").write_bytes((root / "stripe" / "000.png").read_bytes())
    (root / "square" / "bad.png").write_bytes(b"words")
    for name in ("circle/1.svg", "circle/2.svg", "circle/text", "circle/Thumbs.db", "circle/1.txt"):
        (root / name).write_text("words")
    return place


@pytest.fixture(scope="module")
def run(place):
    command = [sys.executable, "-m", "tlapp", *TRAIN, "--run", "run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    assert done.returncode == 0, done.stderr
    return done


def rows(place, name):
    with open(place / "run" / name, newline="") as file:
        return list(csv.DictReader(file))


def test_notes_are_told_once_each_and_are_in_the_json(run):
    notes = [line.removeprefix("note: ") for line in run.stderr.splitlines() if line.startswith("note: ")]
    assert notes == json.loads(run.stdout)["notes"] and len(set(notes)) == len(notes)
    assert UNREAD in notes and any("bad.png: not a picture" in note for note in notes)


def test_the_json_holds_labels_settings_and_problems_beside_the_metrics(run, place):
    answer = json.loads(run.stdout)
    assert {"run", "val", "test", "seconds", "images", "peak_memory_mb"} < answer.keys()
    assert answer["labels"] == ["circle", "square", "stripe"]
    assert answer["settings"]["plugin"] == "freeze" and answer["settings"]["image_size"] == 32
    assert answer["problems"] == rows(place, "problems.csv")


def test_every_picture_is_in_data_csv(run, place):
    listed = {row["path"]: row for row in rows(place, "data.csv")}
    messy = place / "messy"
    assert set(listed) == {
        str(path) for path in messy.rglob("*") if path.suffix in (".png", ".heic", ".avif") or path.name == "bare"
    }
    assert {listed[str(messy / "circle" / name)]["width"] for name in ("phone.heic", "web.avif", "bare")} == {"32"}
    assert listed[str(messy / "circle" / "copy.png")]["copies"] == listed[str(messy / "circle" / "000.png")]["copies"] == "1"
    in_a_split = {row["path"]: row["split"] for row in rows(place, "splits.csv")}
    assert in_a_split == {path: row["split"] for path, row in listed.items() if row["split"]}


def test_every_problem_is_in_problems_csv(run, place):
    messy = place / "messy"
    told = {(row["path"], row["problem"].partition(":")[0], row["other"]) for row in rows(place, "problems.csv")}
    assert (str(messy / "square" / "bad.png"), "cannot be read", "") in told
    assert any(problem.startswith("a copy in") and path.endswith(("copy.png", "000.png")) for path, problem, _ in told)
    assert any(problem == "the same under two labels" for _, problem, _ in told)


def test_the_answers_to_val_and_test_are_in_predictions_csv(run, place):
    answers, metrics = rows(place, "predictions.csv"), json.loads(run.stdout)
    for split in ("val", "test"):
        own = [row for row in answers if row["split"] == split]
        right = sum(row["label"] == row["predicted"] for row in own)
        assert len(own) == metrics[split]["n"] and right / len(own) == pytest.approx(metrics[split]["accuracy"])
        assert {(row["path"], row["label"]) for row in own} == {
            (row["path"], row["label"]) for row in rows(place, "splits.csv") if row["split"] == split
        }
    mistakes = [row for row in answers if row["label"] != row["predicted"]]
    assert answers[: len(mistakes)] == mistakes


def test_the_table_of_splits_is_evaluated_from_any_folder(run, place, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tlapp.cli.evaluate.keep_fast", lambda model: None)  # this model takes long to convert
    assert main.run(["evaluate", str(place / "run"), "--data", str(place / "run" / "splits.csv"), "--json"]) == 0
    again, before = json.loads(capfd.readouterr().out), json.loads(run.stdout)["test"]
    assert (again["n"], again["accuracy"]) == (before["n"], before["accuracy"])


def test_a_dry_run_counts_the_notes_that_were_shown_before(place, run, monkeypatch, capfd):
    monkeypatch.chdir(place)
    assert main.run([*TRAIN, "--dry-run", "--exports", "none"]) == 0
    said = capfd.readouterr()
    answer = json.loads(said.out)
    notes = [note for note in json.loads(run.stdout)["notes"] if "calibrated" not in note]  # of the run, not of its data
    assert [line for line in said.err.splitlines() if line.startswith("note: ")] == [
        f"note: {len(notes)} notes on the data were shown before; --json has them"
    ]
    assert answer["plan"]["strategy"] == "freeze" and answer["notes"] == notes
    assert answer["labels"] == ["circle", "square", "stripe"] and len(answer["problems"]) == len(rows(place, "problems.csv"))


def test_the_result_names_the_weakest_classes_and_the_files_to_work_through(run, place):
    metrics = json.loads((place / "run" / "metrics.json").read_text())
    lines = list(result_lines(place / "run", metrics, problems=3))
    start = lines.index("test: classes, the lowest recall first")
    recalls = [float(line.split()[2]) for line in lines[start + 1 : start + 4]]
    assert recalls == sorted(recalls) and {line.split()[0] for line in lines[start + 1 : start + 4]} == {
        "circle",
        "square",
        "stripe",
    }
    assert f"3 problems with the data: {place / 'run' / 'problems.csv'}" in lines
    assert any(line.endswith(f": {place / 'run' / 'predictions.csv'}") for line in lines) and "problem" not in str(
        list(result_lines(place / "run", metrics))
    )


def test_notes_count_as_shown_once_they_were(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    assert [shown_before(notes) for notes in (["a", "b"], ["a"], ["a", "b"], ["a"])] == [False, False, True, True]
    (tmp_path / "cache" / FILE).write_bytes(b"\xff")
    assert not shown_before(["a"])
    monkeypatch.setenv("TLAPP_CACHE", "/proc/nowhere")
    assert not shown_before(["a"])
