"""`tlapp evaluate`: what the run was trained on is told, divided data are measured on their test part.

A run answers to pictures in shards as to the same in files, and names them so that they can be read again.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from helpers.command import tlapp as command
from helpers.shards import records_of, tar_of

import tlapp
from tlapp.cli.audit import _image
from tlapp.cli.main import run
from tlapp.engine.data.measuring import load_labelled
from tlapp.engine.export.reference import reference
from tlapp.engine.report import Silent


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.notes = []

    def note(self, sentence):
        self.notes.append(sentence)


def test_pictures_that_it_was_trained_on_are_counted(tiny, shapes):
    done = command("evaluate", tiny / "run", "--data", shapes)
    assert done.returncode == 0
    assert done.stderr == (
        "note: 39 of 48 pictures are in the run's training set (33) or validation set (6), so these figures are too good; "
        f"measure on pictures that the run has not seen, such as its test set: --data {tiny / 'run' / 'splits.csv'}\n"
    )
    assert done.stdout.startswith("data ") and "(48 pictures)" in done.stdout


def test_the_runs_own_test_set_is_measured_from_any_folder(tiny, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", str(tiny / "run"), "--data", str(tiny / "run" / "splits.csv")]) == 0
    said = capfd.readouterr()
    assert said.out.startswith("test ") and "(9 pictures)" in said.out
    assert said.err == f"note: --data {tiny}/run/splits.csv: measured on its split test, 9 of 48 pictures; --split chooses\n"


@pytest.mark.parametrize(("split", "n", "trained_on"), [("train", 33, 33), ("val", 6, 6), ("test", 9, 0), ("all", 48, 39)])
def test_a_part_is_chosen(split, n, trained_on, tiny, capfd):
    assert run(["evaluate", str(tiny / "run"), "--data", str(tiny / "run" / "splits.csv"), "--split", split, "--json"]) == 0
    metrics = json.loads(capfd.readouterr().out)
    assert (metrics["n"], metrics["trained_on"], metrics["split"]) == (n, trained_on, "data" if split == "all" else split)


def test_copies_are_known_by_their_content(tiny, shapes, tmp_path):
    run, notes = tlapp.load(tiny / "run"), Notes()
    rows = [row for row in run.files.splits() if row["split"] != "test"]
    for row in rows[:5]:
        (tmp_path / row["label"]).mkdir(exist_ok=True)
        shutil.copy(row["path"], tmp_path / row["label"] / f"copy{len(list(tmp_path.rglob('*')))}.png")
    for label in run.labels:
        (tmp_path / label).mkdir(exist_ok=True)
        shutil.copy(tiny / "new" / label / "000.png", tmp_path / label)
    metrics = run.evaluate(str(tmp_path), reporter=notes)
    assert metrics["trained_on"] == 5 and notes.notes[0].startswith("5 of 8 pictures are in the run's training set (")


def test_copies_in_another_format_are_known_by_their_pixels(tiny, tmp_path):
    from PIL import Image

    run = tlapp.load(tiny / "run")
    for row in [row for row in run.files.splits() if row["split"] == "train"]:
        (tmp_path / row["label"]).mkdir(exist_ok=True)
        Image.open(row["path"]).save(tmp_path / row["label"] / f"{len(list(tmp_path.rglob('*')))}.bmp")
    assert run.evaluate(str(tmp_path))["trained_on"] == 33


SPLITS_FILES = {
    None: "splits.csv: cannot be read: No such file or directory; so it is not known whether",
    "": "splits.csv: expected the columns path,label,split. Received: nothing; so it is not known whether",
    "file,class\na,b\n": "splits.csv: expected the columns path,label,split. Received: file,class; so it is not known whether",
}


@pytest.mark.parametrize("content", SPLITS_FILES)
def test_a_run_without_its_splits_is_measured_all_the_same(content, tiny, tmp_path):
    folder, notes = shutil.copytree(tiny / "run", tmp_path / "run"), Notes()
    (folder / "splits.csv").unlink()
    if content is not None:
        (folder / "splits.csv").write_text(content)
    assert tlapp.load(folder).evaluate(str(tiny / "new"), reporter=notes)["trained_on"] is None
    (note,) = notes.notes
    assert SPLITS_FILES[content] in note


def test_training_pictures_that_have_gone_are_told(tiny, tmp_path):
    folder, notes = shutil.copytree(tiny / "run", tmp_path / "run"), Notes()
    splits = (folder / "splits.csv").read_text().splitlines()
    (folder / "splits.csv").write_text("\n".join([splits[0], "/nowhere/a.png,circle,train", "/nowhere/b.png,circle,test"]) + "\n")
    assert tlapp.load(folder).evaluate(str(tiny / "new"), reporter=notes)["trained_on"] == 0
    (note,) = notes.notes
    assert note == "1 picture of the run's training or validation set cannot be found, so copies of them are not noticed here"


REFUSALS = {
    "--data {new} --split val": "--split val: {new} is not divided into train, val and test; leave --split out",
    "--data {only} --split val": "--data {only}: has no pictures of split val; set --split test, or --split all",
    "--data {new} --split tst": "--split tst: ",
}


@pytest.mark.parametrize("typed", REFUSALS)
def test_what_cannot_be_measured_ends_in_a_sentence(typed, tiny, tmp_path, capfd):
    names = {"new": tiny / "new", "only": tmp_path / "only.csv"}
    (tmp_path / "only.csv").write_text(f"path,label,split\n{tiny}/new/circle/000.png,circle,test\n")
    assert run(["evaluate", str(tiny / "run"), *typed.format(**names).split()]) == 2
    assert REFUSALS[typed].format(**names) in capfd.readouterr().err.splitlines()[-1]


def test_an_unfinished_run_and_an_export_are_measured(unfinished, exports, capfd):
    accuracy = set()
    for model in (["stopped", "--unfinished"], ["exports/tflite"], ["run"]):
        path = str(exports / model[0])
        assert run(["evaluate", path, *model[1:], "--data", str(exports / "new"), "--json"]) == 0
        metrics = json.loads(capfd.readouterr().out)
        assert metrics["n"] == 12 and metrics["trained_on"] == (None if "exports" in model[0] else 0)
        accuracy.add(metrics["accuracy"])
    assert len(accuracy) == 1


def test_a_folder_that_is_divided_is_measured_on_its_test_part(tiny, tmp_path):
    for split in ("train", "test"):
        shutil.copytree(tiny / "new", tmp_path / split)
    notes = Notes()
    metrics = tlapp.load(tiny / "run").evaluate(str(tmp_path), reporter=notes)
    assert (metrics["n"], metrics["split"]) == (12, "test") and "12 of 24 pictures" in notes.notes[0]


def test_digits_and_other_streams_in_a_table(tmp_path):
    """A run's splits.csv names built-in pictures, and those of its target, which may have no label."""
    from tlapp.engine.data.measuring import load_labelled
    from tlapp.engine.inputs.images import Images

    (tmp_path / "splits.csv").write_text(
        "path,label,split\nbuiltin:digits/0000,0,train\nbuiltin:digits/0001,1,test\nbuiltin:digits/0002,,target\n"
    )
    stream, _ = load_labelled("data", str(tmp_path / "splits.csv"), ("0", "1"), Images(32))
    assert stream.files == ("builtin:digits/0001",)


@pytest.fixture(scope="module")
def shards(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    records_of(tiny / "new", folder / "new.tfrecord")
    return tar_of(tiny / "new", folder / "new.tar")


def asked(*words, capfd):
    assert run([*map(str, words), "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def test_it_answers_the_same(tiny, shards, capfd):
    files = asked("predict", tiny / "run", tiny / "new", capfd=capfd)["predictions"]
    for path in (shards, shards.with_suffix(".tfrecord")):
        answers = asked("predict", tiny / "run", path, capfd=capfd)["predictions"]
        assert [each["labels"] for each in answers] == [each["labels"] for each in files]
    one = f"{shards}/circle/000.png"
    assert asked("predict", tiny / "run", one, capfd=capfd)["predictions"][0]["file"] == one
    assert asked("evaluate", tiny / "run", "--data", shards, capfd=capfd) == asked(
        "evaluate", tiny / "run", "--data", tiny / "new", capfd=capfd
    )


def test_answers_can_be_data(tiny, shards, tmp_path, capfd):
    asked("predict", tiny / "run", shards, "--output", tmp_path / "answers.csv", capfd=capfd)
    rows = list(csv.DictReader((tmp_path / "answers.csv").open()))
    assert len(rows) == 12 and rows[0]["path"] == f"{shards}/circle/000.png"
    assert asked("evaluate", tiny / "run", "--data", tmp_path / "answers.csv", capfd=capfd)["accuracy"] == 1


def test_pictures_trained_on_are_known_in_shards_too(tiny, shapes, tmp_path, capfd):
    path = tar_of(shapes, tmp_path / "a.tar")
    assert asked("evaluate", tiny / "run", "--data", path, capfd=capfd)["trained_on"] == 39


def test_pictures_of_shards_are_shown_and_handed_to_exports_as_files(tiny, shards, tmp_path):
    model = tlapp.load(tiny / "run")
    stream, _ = load_labelled("data", str(shards), model.labels, model.input)
    files = reference(model, stream, tmp_path, 2).files
    assert [Path(file).read_bytes() for file in files] == [
        (tiny / "new" / "circle" / name).read_bytes() for name in ("000.png", "001.png")
    ]
    assert all(file.startswith(f"{tmp_path}/") and file.endswith(".png") for file in files)
    assert _image(stream.files[0]).startswith("<img") and not _image(f"{shards}/none.png")
