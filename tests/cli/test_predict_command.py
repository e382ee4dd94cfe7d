"""`tlapp predict`: runs and exports, good and bad files, files of answers, standard input, unfinished runs."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from helpers.command import tlapp as command

import tlapp
from tlapp.cli.main import run
from tlapp.testing import pictures

NEW = [f"new/{name}/{number:03d}.png" for name in ("circle", "square", "stripe") for number in range(4)]

REFUSALS = {
    "run new --output answers.txt": "--output answers.txt: expected a file name that ends in .csv or .jsonl",
    "run new --output nowhere/a.csv": "--output nowhere/a.csv: there is no folder nowhere",
    "run new --output taken.csv": "--output taken.csv: is a folder; name a file",
    "gone new": "gone: there is no such file or folder",
    "new new": "new: is neither a run nor an export; a run's folder holds settings.yaml, labels.txt and model.keras, ",
    "exports new": "exports: holds several exports; name one of them: int8, keras, savedmodel, tflite",
    "alone.keras new": "alone.keras: there is no golden.json beside it, and so the file alone does not say how",
    "bare.tflite new": "bare.tflite: holds no tlapp.json",
    "foreign.tflite new": "foreign.tflite: holds no labels.txt",
    "exports/tflite new --unfinished": "exports/tflite: is an export, and --unfinished is for runs",
    "stopped new": (
        "stopped: this run did not finish (it has no metrics.json); predict and evaluate use its best model so far with "
        "--unfinished; to resume it: tlapp train --resume stopped"
    ),
    "killed new --unfinished": (
        "killed: this run did not finish (it has no metrics.json and no model so far); to resume it: tlapp train --resume killed"
    ),
    "run bad.jpg new --on-bad fail": "bad.jpg: not a picture",
    "run - --json": "standard input names no pictures",
}
"""What is typed -> what is said, and nothing else."""


@pytest.fixture
def here(exports, unfinished, monkeypatch):
    """The folder that the words of a row are about, as the working folder."""
    (exports / "taken.csv").mkdir(exist_ok=True)
    with zipfile.ZipFile(exports / "bare.tflite", "w") as archive:
        archive.writestr("labels.txt", "a\nb\n")
    (exports / "foreign.tflite").write_bytes(b"TFL3")
    monkeypatch.chdir(exports)
    return exports


@pytest.mark.parametrize("typed", REFUSALS)
def test_what_cannot_be_done_ends_in_a_sentence(typed, here, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert run(["predict", *typed.split()]) == 2
    said = capfd.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("tlapp: ") and REFUSALS[typed] in line and said.out == ""


def test_the_good_ones_are_answered_and_the_bad_ones_named(here):
    done = command("predict", "run", "new", "bad.jpg", "gone.png", "gone*", "empty", "mixed", cwd=here)
    assert done.returncode == 2
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [*NEW, "mixed/deeper/one.png"]
    assert done.stderr.splitlines() == [
        "note: mixed: 3 files are not read: 2 .svg (convert to JPEG or PNG), 1 without an extension (not pictures)",
        "cannot be read: bad.jpg: not a picture",
        "cannot be read: gone.png: no such file",
        "cannot be read: gone*: no such file matches",
        "cannot be read: empty: a folder that holds no pictures",
        "tlapp: 4 of 17 pictures cannot be read; each is named above",
    ]


def test_names_from_standard_input_and_a_csv_that_is_read_again(here, tmp_path):
    """In another folder than the CSV's, so that its paths are absolute."""
    names = "".join(f"{name}\n" for name in [*NEW, "", "bad.jpg"])
    done = command(
        "predict",
        "alone.tflite",
        "-",
        "--top",
        "2",
        "--on-bad",
        "skip",
        "--output",
        tmp_path / "answers.csv",
        cwd=here,
        stdin=names,
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "cannot be read: bad.jpg: not a picture")
    assert done.stdout == f"{tmp_path}/answers.csv: 12 pictures classified, 1 cannot be read\n"
    with open(tmp_path / "answers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "probability", "label_2", "probability_2", "error"]
    assert [row["path"] for row in rows] == [str(here / name) for name in NEW]
    metrics = tlapp.load(here / "run").evaluate(str(tmp_path / "answers.csv"))
    assert metrics["accuracy"] == 1 and metrics["n"] == 12


def test_a_picture_on_standard_input_is_told(here):
    done = subprocess.run(
        [sys.executable, "-m", "tlapp", "predict", "run", "-"],
        input=(here / NEW[0]).read_bytes(), cwd=here, capture_output=True, check=False,
    )  # fmt: skip
    said = b"tlapp: standard input holds binary data. Expected the names of pictures, one a line, or no - among FILES\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", said)


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_bad_ones_have_a_place_of_their_own(as_json, here, tmp_path, capfd):
    output = ["--output", str(tmp_path / "a.jsonl")]
    assert run(["predict", "run", NEW[0], "bad.jpg", *as_json, *([] if as_json else output)]) == 2
    said = capfd.readouterr()
    bad = {"file": "bad.jpg", "reason": "not a picture"}
    if as_json:
        answers = json.loads(said.out)
        assert set(answers) == {"predictions", "bad"} and answers["bad"] == [bad]
        (good,) = answers["predictions"]
    else:
        good, told = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
        assert told == bad and "1 picture" in said.out
    assert good["file"] == NEW[0] and set(good) == {"file", "labels"}


def test_a_csv_names_what_was_bad_and_is_whole_or_not_there(here, capfd):
    assert run(["predict", "run", NEW[0], "bad.jpg", "--output", "here.csv"]) == 2
    first, bad = list(csv.DictReader((here / "here.csv").read_text().splitlines()))
    assert first["path"] == NEW[0] and first["error"] == ""
    assert bad == {"path": "bad.jpg", "label": "", "probability": "", "error": "not a picture"}
    assert run(["predict", "run", NEW[0], "bad.jpg", "--on-bad", "fail", "--output", "none.csv"]) == 2
    assert not list(here.glob("*none.csv*"))


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a folder that cannot be written")
def test_a_place_that_cannot_be_written(here, tmp_path, capfd):
    tmp_path.chmod(0o500)
    assert run(["predict", "run", NEW[0], "--output", str(tmp_path / "a.csv")]) == 2
    assert "a.csv: cannot be written: Permission denied" in capfd.readouterr().err


EXPORTS = {
    "run/model.keras": 1e-6, "exports/tflite": 1e-4, "exports/tflite/model.tflite": 1e-4, "alone.tflite": 1e-4,
    "exports/int8": 0.2, "exports/savedmodel": 1e-4, "exports/savedmodel/1": 1e-4, "exports/keras": 1e-5,
}  # fmt: skip
"""What may be given in place of a run -> by how much its probabilities may differ."""


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_answers_as_the_run(name, here, capfd):
    expected = {each.file: dict(each.labels) for each in tlapp.load("run").predict(NEW, top=3)}
    assert run(["predict", name, "new", "--top", "3", "--json"]) == 0
    answers = {each["file"]: each["labels"] for each in json.loads(capfd.readouterr().out)["predictions"]}
    assert list(answers) == NEW
    for file, labels in answers.items():
        assert set(labels) == set(expected[file])
        np.testing.assert_allclose([labels[key] for key in labels], [expected[file][key] for key in labels], atol=EXPORTS[name])


@pytest.mark.slow
def test_an_onnx_export_answers_as_the_run(here, tmp_path):
    from tlapp.engine.export.export import export
    from tlapp.engine.export.options import ExportOptions

    export(tlapp.load("run"), ExportOptions(format="onnx", output=str(tmp_path / "onnx")))
    for one, other in zip(tlapp.load(tmp_path / "onnx").predict(NEW), tlapp.load("run").predict(NEW), strict=True):
        assert one.labels[0][1] == pytest.approx(other.labels[0][1], abs=1e-4) and one.label == other.label


def test_pictures_are_prepared_for_an_export_as_for_the_run(here, tmp_path):
    """Laid over white where they are transparent."""
    from PIL import Image

    picture = Image.open(NEW[0]).convert("RGBA").resize((48, 20))
    picture.putalpha(Image.fromarray(np.tile(np.arange(48, dtype=np.uint8) * 5, (20, 1))))
    picture.save(tmp_path / "clear.png")
    one, other = (dict(tlapp.load(name).predict([tmp_path / "clear.png"], top=3)[0].labels) for name in ("run", "alone.tflite"))
    assert len(one) == 3 and one == pytest.approx(other, abs=1e-4)


def test_an_unfinished_run_answers_where_asked(here, capfd):
    assert run(["predict", "stopped", NEW[0], "--unfinished"]) == 0
    stopped = capfd.readouterr().out
    assert run(["predict", "run", NEW[0], "--unfinished"]) == 0
    assert capfd.readouterr().out == stopped
    assert run(["export", "stopped", "--format", "keras"]) == 2
    assert "this run did not finish" in capfd.readouterr().err
    assert tlapp.load("stopped", unfinished=True).predict([NEW[0]]) == tlapp.load("run").predict([NEW[0]])


def test_answers_come_as_they_are_made(here, monkeypatch):
    """The first is there when the later ones have not been read, and what is read ahead is bounded."""
    from tlapp.engine.inputs.images import Images

    read, original = [], Images.read
    monkeypatch.setattr(Images, "read", lambda self, source: read.append(source) or original(self, source))
    answers = tlapp.load("run").answers(NEW * 40)
    next(answers)
    assert len(read) < 400
    answers.close()
    assert len(read) < 480


def test_a_reader_that_leaves_ends_it_quietly(here, tmp_path):
    many = pictures(tmp_path / "many", each=400, classes=["circle"])
    program = f"exec {sys.executable} -m tlapp predict alone.tflite {many} | head -1"
    done = subprocess.run(["sh", "-c", program], cwd=here, capture_output=True, text=True, check=False)
    assert len(done.stdout.splitlines()) == 1 and "Error" not in done.stderr
