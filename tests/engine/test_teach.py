"""A finished run is taught more without its old examples: the head as if solved on all, everything else to the bit."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from tlapp_plugins.feature_extract import FeatureExtract
from tlapp_plugins.shared.discriminant import Discriminant

import tlapp
from tlapp.cli.main import run as command
from tlapp.contracts import Fit, Plan, Solve, Strategy
from tlapp.engine.report import Silent
from tlapp.engine.runs.folder import MEMORY, REPORT, TAUGHT, TESTED
from tlapp.engine.training.session import _Head
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones, pictures, tiny_run


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """A run that knows two of three kinds of pictures, and a folder of all three."""
    folder = tmp_path_factory.mktemp("teach")
    every = pictures(folder / "every", each=20)
    known, new = folder / "known", sorted(path.name for path in every.iterdir())[-1]
    shutil.copytree(every, known, ignore=lambda at, names: [new] if at == str(every) else [])
    shutil.move(every / new, folder / new)
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    settings = {"backbone": f"file:{folder}/tiny.keras", "image_size": SIZE, "plugin": "feature-extract"}
    tlapp.train(data=str(known), classifier="lda", run=str(folder / "run"), **settings)
    tlapp.train(data=str(known), run=str(folder / "logistic"), **settings)
    tlapp.train(data=str(known), run=str(folder / "full"), **{**settings, "plugin": "full", "epochs": 1, "warmup": 0})
    return folder, new


@pytest.fixture
def run(place, tmp_path):
    """A copy to teach."""
    return shutil.copytree(place[0] / "run", tmp_path / "run")


def files(place):
    return sorted(map(str, (place[0] / place[1]).iterdir()))


def contents(run):
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def features(saved, paths):
    import keras

    trunk = keras.Model(saved.model.inputs, saved.model.layers[-2].input)
    from PIL import Image

    arrays = np.stack([np.asarray(Image.open(path).convert("RGB").resize((SIZE, SIZE))) for path in paths])
    return np.asarray(trunk([arrays.astype("float32")]))


def test_the_head_is_that_of_all_examples_at_once_and_the_network_is_as_it_was(place, run):
    before = tlapp.load(run)
    old, labels_before, _ = before.files.arrays(), before.labels, before.metrics
    rows = {split: [r["path"] for r in before.files.splits() if r["split"] == split] for split in ("train", "val", "test")}
    truths = {name: [r["label"] for r in before.files.splits() if r["split"] == name] for name in ("train", "val", "test")}
    before.model  # noqa: B018 - opened before it changes
    taught = tlapp.teach(run, place[1], files(place)[:8])
    after = tlapp.load(run)
    assert taught.labels == after.labels == (*labels_before, place[1]) and taught.examples == 8
    for one, other in zip(before.model.layers[:-2], after.model.layers[:-2], strict=True):
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    x = features(before, [*rows["train"], *rows["val"], *files(place)[:8]])
    y = np.array([*map(labels_before.index, truths["train"] + truths["val"]), *[2] * 8])
    solver = Discriminant(shrinkage=float(old["shrinkage"]))
    whole = {**solver.learn(None, x, y, 3), "temperature": old["temperature"]}
    for one, other in zip(after.model.layers[-2].get_weights(), solver.layer(whole).get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())
    assert sum(answer.label == place[1] for answer in after.predict(files(place)[8:])) >= 6  # of 12, by a random network
    right = [answer.label == truth for answer, truth in zip(after.predict(rows["test"]), truths["test"], strict=True)]
    assert taught.after == after.metrics["test"]["accuracy"] == pytest.approx(np.mean(right))
    assert taught.before == before.metrics["test"]["accuracy"]
    assert after.metrics["taught"] == [{"label": place[1], "examples": 8}]
    learnt = [row["path"] for row in after.files.splits() if row["label"] == place[1]]
    assert learnt == files(place)[:8]


def test_a_picture_that_is_named_twice_counts_once(place, run):
    assert tlapp.teach(run, place[1], [files(place)[0], *files(place)[:2], files(place)[1]]).examples == 2


def test_undoing_puts_every_file_back(place, run):
    first = contents(run)
    tlapp.teach(run, place[1], files(place)[:3])
    assert (run / "taught" / "1" / REPORT).exists() and not (run / REPORT).exists()  # it showed what was
    second = contents(run)
    tlapp.teach(run, place[1], files(place)[3:5])
    assert tlapp.load(run).labels[-1] == place[1] and len(tlapp.load(run).metrics["taught"]) == 2
    (run / REPORT).write_text("of the second lesson")
    assert tlapp.undo_teach(run) == 1 and contents(run) == second
    assert tlapp.undo_teach(run) == 0 and contents(run) == first
    assert not (run / TAUGHT).exists()
    with pytest.raises(UserError, match="was taught nothing that could be undone"):
        tlapp.undo_teach(run)


def test_what_cannot_be_learnt_changes_nothing(place, run, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    first, known = contents(run), tlapp.load(run).files.splits()[0]["path"]
    for name, paths, sentence in (
        (place[1], [known], "is one of the run's pictures already, in "),
        (place[1], [str(tmp_path / "bad.png")], r"bad\.png: .+"),
        (place[1], [str(tmp_path / "none.png")], r"none\.png: .+"),
        (" ", files(place)[:1], "a class needs a name in one line"),
        ("a\nb", files(place)[:1], "a class needs a name in one line"),
    ):
        with pytest.raises(UserError, match=sentence):
            tlapp.teach(run, name, paths)
        assert contents(run) == first


@pytest.mark.parametrize("failing", ["write_model", "write_arrays", "write_metrics"])
def test_what_cannot_be_written_leaves_the_run_as_it_was(failing, place, run, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    first = contents(run)
    monkeypatch.setattr(f"tlapp.engine.runs.folder.RunFolder.{failing}", full)
    with pytest.raises(UserError, match="cannot be written, and is as it was: No space left on device"):
        tlapp.teach(run, place[1], files(place)[:2])
    assert contents(run) == first


def test_runs_that_remember_nothing_say_why(place):
    for name, why in (("full", "phase tune trained it by gradients"), ("logistic", "its classifier keeps no sums")):
        with pytest.raises(
            UserError, match=f"cannot be taught without its examples: {why}. Train with option plugin=feature-extract"
        ):
            tlapp.teach(place[0] / name, place[1], files(place))


def test_a_head_that_is_not_the_memorys_is_refused(place, run):
    saved = tlapp.load(run)
    memory = saved.files.arrays()
    saved.files.write_arrays({**memory, "sums": memory["sums"] * np.array([1.0, 1.1])})
    with pytest.raises(UserError, match=rf"its head is not the one that {MEMORY} makes"):
        tlapp.teach(run, place[1], files(place)[:2])


def test_without_the_test_pictures_it_is_taught_and_that_is_said(place, run, monkeypatch):
    notes = Notes()
    splits = run / "splits.csv"
    splits.write_text(splits.read_text().replace(str(place[0] / "known"), "/gone"))
    (run / REPORT).unlink()  # of which a note would tell
    kept = tlapp.teach(shutil.copytree(run, run.with_name("kept")), place[1], files(place)[:2], reporter=notes)
    assert kept.before == tlapp.load(place[0] / "run").metrics["test"]["accuracy"] and not notes.sentences  # by its features
    (run / TESTED).unlink()
    taught = tlapp.teach(run, place[1], files(place)[:2], reporter=notes)
    assert taught.before is taught.after is None and tlapp.load(run).metrics["test"] is None
    assert len(notes.sentences) == 1 and notes.sentences[0].startswith("what this does to the other classes is not measured: ")
    assert tlapp.load(run).labels[-1] == place[1]


def test_the_command(place, run, capfd):
    assert command(["teach", str(run), place[1], *files(place)[:2]]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0] == f"{place[1]}: 2 examples learnt; classes: {', '.join(tlapp.load(run).labels)}"
    assert out[1].startswith("accuracy on the run's own test: ") and out[2] == f"run: {run}"
    assert command(["teach", str(run), "--undo", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"run": str(run), "labels": [*tlapp.load(run).labels], "lessons": 0}
    assert command(["teach", str(run)]) == 2 and command(["teach", str(run), "x", "--undo"]) == 2
    assert "--undo" in capfd.readouterr().err


class TaughtThenTuned(Strategy):
    """A discriminant, whose head gradients then change."""

    contract = "1.2"

    def plan(self, task, backbone):
        solve = Solve(name="solve", rates=backbone.frozen(), solver=Discriminant())
        return Plan((solve, Fit(name="tune", rates=backbone.frozen(), epochs=1, learning_rate=1e-3)))


def test_a_resumed_run_remembers_and_one_whose_head_was_tuned_keeps_nothing(shapes, tmp_path, tensorflow):
    run = tiny_run(FeatureExtract(classifier="lda"), shapes, tmp_path / "run")
    memory, pack = run.work.memory, _Head(run.work).pack()
    run.work.memory = {}
    _Head(run.work).unpack(pack)
    assert set(run.work.memory) == set(memory) == {"gram", "sums", "shrinkage", "temperature"}
    for name, array in memory.items():
        np.testing.assert_array_equal(run.work.memory[name], array)
    assert (tmp_path / "run" / MEMORY).exists()
    tiny_run(TaughtThenTuned(), shapes, tmp_path / "tuned")
    assert not (tmp_path / "tuned" / MEMORY).exists()


class Notes(Silent):
    def __init__(self):
        self.sentences = []

    def note(self, sentence):
        self.sentences.append(sentence)
