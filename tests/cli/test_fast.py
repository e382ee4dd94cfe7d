"""A run answers without TensorFlow once its first answers are out, and never by a file that is not of it as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.export import keep
from tlapp.engine.export.formats.tflite import TFLite
from tlapp.engine.runs.saved import SavedRun

SECOND = """
import sys
from tlapp.cli.main import run
model, picture, data = sys.argv[1:]
codes = [run(["predict", model, picture, "--top", "3", "--json"]), run(["evaluate", model, "--data", data, "--json"])]
sys.exit(f"{codes}, {'tensorflow' in sys.modules}")
"""


@pytest.fixture
def kept(tiny, tmp_path):
    """A copy of the run, which keeps its file."""
    return shutil.copytree(tiny / "run", tmp_path / "run")


@pytest.fixture
def bare(kept):
    """A copy of the run without it."""
    shutil.rmtree(kept / "fast")
    return kept


@pytest.fixture
def files(tiny):
    return [*map(str, sorted((tiny / "new").rglob("*.png")))]


def keras(folder, files):
    """What the Keras model of a run says."""
    return [dict(each.labels) for each in SavedRun(folder).predict(files, top=3)]


def test_the_second_process_never_imports_tensorflow(kept, files):
    done = subprocess.run(
        [sys.executable, "-c", SECOND, kept, files[0], kept / "splits.csv"], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == "[0, 0], False"
    said, metrics = map(json.loads, done.stdout.splitlines())
    assert [each["labels"] for each in said["predictions"]] == [pytest.approx(each, abs=1e-4) for each in keras(kept, files[:1])]
    wanted = SavedRun(kept).evaluate(str(kept / "splits.csv"))
    assert {name: metrics[name] for name in ("accuracy", "n", "trained_on")} == {
        name: wanted[name] for name in ("accuracy", "n", "trained_on")
    }


def test_the_first_answers_come_from_keras_and_then_the_file_is_kept(bare, files, capfd):
    for error in (f"note: kept {bare / 'fast'}: from now on the answers come without TensorFlow, and sooner\n", ""):
        assert command(["predict", str(bare), files[0]]) == 0
        said = capfd.readouterr()
        assert said.err == error and said.out.startswith(f"{files[0]}: ")
    model = tlapp.load(bare)
    assert model.fast.artifact == bare / "fast" / "model.tflite" and "model" not in vars(model)
    assert [dict(each.labels) for each in model.predict(files, top=3)] == [
        pytest.approx(each, abs=1e-4) for each in keras(bare, files)
    ]
    assert command(["verify", str(bare / "fast")]) == 0


@pytest.mark.parametrize("name", ["model.tflite", "labels.txt", "golden.json"])
def test_an_altered_file_does_not_answer(kept, files, name):
    path = kept / "fast" / name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    model = tlapp.load(kept)
    assert model.fast is None and model.predict(files[:1])


def test_a_run_whose_model_changed_is_answered_by_it(kept, files):
    run = SavedRun(kept)
    head = next(each for each in reversed(run.model.layers) if each.get_weights())
    head.set_weights([each[..., ::-1] for each in head.get_weights()])
    old = tlapp.load(kept).predict(files)
    run.model.save(kept / "model.keras")
    new = tlapp.load(kept)
    assert new.fast is None
    assert [each.label for each in new.predict(files)] != [each.label for each in old]
    assert new.keep() == kept / "fast"
    again = tlapp.load(kept)
    assert again.fast
    assert [each.label for each in again.predict(files)] == [each.label for each in new.predict(files)]


def test_what_the_run_reads_by_counts_too(kept):
    settings = (kept / "settings.yaml").read_text()
    (kept / "settings.yaml").write_text(settings.replace("squash", "crop"))
    assert tlapp.load(kept).fast is None
    (kept / "settings.yaml").write_text(settings)
    assert tlapp.load(kept).fast
    (kept / "labels.txt").write_text("a\nb\nc\n")
    assert tlapp.load(kept).fast is None


def test_an_export_answers_where_it_passed_its_check(exports, bare):
    export = shutil.copytree(exports / "exports" / "tflite", bare / "export" / "any")
    assert tlapp.load(bare).fast.artifact == export / "model.tflite"
    facts = json.loads((export / "golden.json").read_text())
    for other in ({"quantize": "float16"}, {"made_of": {}}, {"made_of": {**facts["made_of"], "unknown.npz": "0"}}):
        (export / "golden.json").write_text(json.dumps({**facts, **other}))
        assert tlapp.load(bare).fast is None


def test_what_cannot_be_made_is_tried_once(bare, monkeypatch):
    tries = []

    def write(self, material, way):
        tries.append(way)
        raise RuntimeError("no such operation")

    monkeypatch.setattr(TFLite, "write", write)
    model = tlapp.load(bare)
    assert [model.keep(), tlapp.load(bare).keep()] == [None, None]
    assert len(tries) == 1 and "no such operation" in (bare / "fast" / "reason.json").read_text()
    monkeypatch.setattr(keep, "version", lambda name: "a later one")
    assert model.keep() is None and len(tries) == 2
    monkeypatch.undo()
    assert tlapp.load(bare).keep() == bare / "fast"


def test_a_file_that_says_otherwise_is_not_kept(bare, monkeypatch):
    opened = TFLite.opened

    def wrong(self, artifact, open_model=None):
        ask = opened(self, artifact)
        return lambda examples: (ask(examples)[0][:, ::-1], None)

    monkeypatch.setattr(TFLite, "opened", wrong)
    assert tlapp.load(bare).keep() is None
    assert "differs from the Keras model's" in (bare / "fast" / "reason.json").read_text()
    assert [*(bare / "fast").iterdir()] == [bare / "fast" / "reason.json"]


@pytest.mark.parametrize("failing", ["read-only", "full", "taught meanwhile"])
def test_where_it_cannot_be_written_nothing_is_left(bare, monkeypatch, failing):
    if failing == "read-only":
        monkeypatch.setattr(keep.os, "access", lambda path, mode: False)
    elif failing == "full":
        monkeypatch.setattr(TFLite, "write", lambda self, material, way: (_ for _ in ()).throw(OSError(28, "No space left")))
    else:
        monkeypatch.setattr(SavedRun, "digests_now", lambda self: {"model.keras": "another"} if "digests" in vars(self) else {})
    before = sorted(bare.iterdir())
    assert tlapp.load(bare).keep() is None
    assert sorted(bare.iterdir()) == before


def test_it_is_checked_on_what_was_asked_where_the_runs_own_pictures_are_gone(bare, files):
    (bare / "splits.csv").write_text((bare / "splits.csv").read_text().replace(".png", ".gone"))
    assert tlapp.load(bare).keep() is None
    assert tlapp.load(bare).keep(files[:2]) == bare / "fast"
    assert len(json.loads((bare / "fast" / "golden.json").read_text())["vectors"]) == 2


def test_a_run_that_did_not_finish_has_none(kept):
    (kept / "metrics.json").unlink()
    (kept / "checkpoints").mkdir(exist_ok=True)
    shutil.copy(kept / "model.keras", kept / "checkpoints" / "interrupted.keras")
    model = tlapp.load(kept, unfinished=True)
    assert model.fast is None and model.keep() is None
