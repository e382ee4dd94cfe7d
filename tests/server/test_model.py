"""What is served: which export of a run, or the run itself, and what is refused."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from helpers.served import Client, picture, running
from helpers.texts import VOCABULARY
from PIL import Image

import tlapp
from tlapp.engine.inputs import read_content
from tlapp.engine.inputs.texts import Texts
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError
from tlapp.server.limits import Limits
from tlapp.server.model import opened


@pytest.fixture
def run(colours, tmp_path):
    """A copy of the run with two exports: `int8` and `tflite`."""
    return shutil.copytree(colours / "whole", tmp_path / "run")


def test_the_export_nearest_to_the_trained_model_answers_for_a_run(run):
    model = opened(run, 2)
    assert model.place == run / "export" / "tflite"
    assert model.facts["name"] == "run"
    assert len(model.predictors) == 2
    assert model.notes == (f"{model.place} (quantize: none) answers for the run",)
    shutil.rmtree(model.place)
    assert opened(run, 1).facts["quantize"] == "int8"


def test_a_run_without_an_export_is_computed_by_tensorflow(colours):
    model = opened(colours / "run", 2)
    assert model.facts["runtime"] == "tensorflow"
    assert "tlapp export" in model.notes[0]
    picture_of_red = picture("red", (50, 31))
    with running(model, Limits(workers=2)) as client:
        (found,) = client.predict(picture_of_red, query="?top=3")[1]["predictions"]
    with running(opened(colours / "float", 1), Limits()) as client:
        (wanted,) = client.predict(picture_of_red, query="?top=3")[1]["predictions"]
    assert found["labels"] == pytest.approx(wanted["labels"], abs=1e-5)


def test_exports_that_are_not_of_the_run_as_it_is_are_left_with_a_sentence(run, colours):
    shutil.rmtree(run / "export" / "int8")
    (run / "labels.txt").write_text("a\nb\nc\n")
    assert "has other classes than the run" in opened(run, 1).notes[0]
    shutil.copy(colours / "run" / "labels.txt", run)
    (run / "taught").mkdir()
    assert opened(run, 1).facts["format"] == "run"
    past = os.stat(run / "export" / "tflite" / "golden.json").st_mtime - 10
    os.utime(run / "taught", (past, past))
    assert opened(run, 1).facts["format"] == "tflite"


def test_an_export_of_another_model_than_the_runs_is_left_with_a_sentence(run):
    golden = run / "export" / "tflite" / "golden.json"
    digests, facts = SavedRun(run).digests, json.loads(golden.read_text())
    golden.write_text(json.dumps({**facts, "made_of": digests}))
    assert opened(run, 1).place == golden.parent
    golden.write_text(json.dumps({**facts, "made_of": {**digests, "model.keras": "0"}}))
    model = opened(run, 1)
    assert "was exported before the run was taught" in model.notes[0] and model.facts["quantize"] == "int8"


def test_a_run_that_keeps_a_file_for_it_is_served_without_tensorflow(colours, tmp_path):
    run = shutil.copytree(colours / "run", tmp_path / "run")
    (tmp_path / "red.png").write_bytes(picture("red"))
    assert tlapp.load(run).keep([str(tmp_path / "red.png")]) == run / "fast"
    model = opened(run, 2)
    assert (model.place, model.facts["name"], model.facts["runtime"]) == (run / "fast", "run", "litert")
    assert len(model.predictors) == 2 and model.notes == (f"{run / 'fast'} answers for the run",)
    assert model.heat_maps.why == ""
    path = run / "fast" / "model.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert opened(run, 1).facts["runtime"] == "tensorflow"


@pytest.mark.parametrize("name", ["model.tflite", "labels.txt"])
def test_an_export_that_was_altered_is_refused(run, name):
    path = run / "export" / "tflite" / name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    for place in (run, path.parent, path.parent / "model.tflite"):
        with pytest.raises(UserError, match=rf"{name}: was changed since it was exported \(its SHA-256 is another\)"):
            opened(place, 1)


def test_a_file_alone_is_served_with_a_note(colours, tmp_path):
    path = tmp_path / "alone.tflite"
    shutil.copy(colours / "float" / "model.tflite", path)
    model = opened(path, 1)
    assert (model.facts["name"], model.facts["quantize"]) == ("alone", "unknown")
    assert "nothing says whether it was altered" in model.notes[0]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError):
        opened(path, 1)


def test_an_unfinished_run_is_refused(colours, tmp_path):
    run = shutil.copytree(colours / "run", tmp_path / "run")
    (run / "metrics.json").unlink()
    with pytest.raises(UserError, match="did not finish"):
        opened(run, 1)


def test_pictures_are_read_as_the_run_reads_them(colours, tmp_path):
    picture_of_two = np.zeros((40, 120, 3), np.uint8)
    picture_of_two[:, :40], picture_of_two[:, 40:] = (210, 50, 40), (40, 180, 60)
    path = tmp_path / "two.png"
    Image.fromarray(picture_of_two).save(path)
    answers = []
    for resize in ("squash", "crop"):
        run = shutil.copytree(colours / "run", tmp_path / resize)
        settings = (run / "settings.yaml").read_text()
        (run / "settings.yaml").write_text(settings.replace("squash", resize))
        with running(opened(run, 1), Limits()) as client:
            answers.append(answer(client, path))
        (wanted,) = tlapp.load(run).predict([path], top=3)
        assert answers[-1] == pytest.approx(dict(wanted.labels), abs=1e-6)
    assert answers[0]["red"] > answers[1]["red"] + 0.01


def answer(client: Client, path):
    return client.predict(path.read_bytes(), query="?top=3")[1]["predictions"][0]["labels"]


def test_a_text_is_never_taken_for_a_file(tmp_path):
    path = tmp_path / "secret.txt"
    path.write_text("moon star owl")
    texts = Texts(VOCABULARY, max_length=16)
    assert np.count_nonzero(texts.read(str(path))[0]) == 5
    assert not np.array_equal(read_content(texts, str(path).encode(), 1)[0], texts.read(str(path))[0])
    assert np.array_equal(read_content(texts, b"moon star owl", 1)[0], texts.read(str(path))[0])
