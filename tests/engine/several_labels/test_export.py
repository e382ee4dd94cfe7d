"""Several labels an image: what an export answers, and how it is checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.several_labels import NAMES, read, two_labels
from PIL import Image

from tlapp.cli.main import run as command
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.export import snippets
from tlapp.engine.export.check import Truth, check
from tlapp.engine.export.export import export
from tlapp.engine.export.formats import named
from tlapp.engine.export.formats.artifact import Answers, Latency
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.verify import verify

MANY = LABELLINGS["many"]


@pytest.fixture(scope="module", params=[pytest.param("savedmodel", marks=pytest.mark.slow), "tflite"])
def exported(request, run):
    return export(run, ExportOptions(format=request.param))


def test_an_artifact_answers_with_the_same_sets(exported, run):
    found, test = exported["check"], run.metrics["test"]
    assert exported["passed"] and found["agreement"] == 1 and found["n"] == test["n"] and found["largest_difference"] < 1e-4
    assert found["accuracy_after"] == found["accuracy_before"] == pytest.approx(test["accuracy"])
    for name, each in found["classes"].items():
        assert each["n"] == test["classes"][name]["n"]
        assert each["accuracy_after"] == pytest.approx(test["classes"][name]["recall"])
    assert verify(exported["folder"])["images"] == 8


def test_its_golden_pictures_have_many_sets(exported):
    rows = [each["probabilities"] for each in json.loads(Path(exported["folder"], "golden.json").read_text())["vectors"]]
    assert len({tuple(np.array(row) > 0.5) for row in rows}) >= 5


def test_its_card_counts_labels(exported, run):
    card = Path(exported["folder"], "README.md").read_text()
    assert "any number of 3 labels" in card and "the same set of labels on" in card
    rows = [row for row in read(run.folder / "splits.csv") if "red" in row["label"]]
    counts = [sum(row["split"] == split for row in rows) for split in ("train", "val", "test")]
    assert f"| red | {counts[0]} | {counts[1]} | {counts[2]} |" in card


def test_its_snippet_tells_every_label(exported, run, capfd):
    file = two_labels(run)
    program = snippets.snippet("python", named(exported["format"]), run.input.export, "many")
    Path(exported["folder"], "classify.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "classify.py", file], cwd=exported["folder"], capture_output=True, text=True, check=True
    )
    assert {line.split()[0] for line in done.stdout.splitlines()} == {name for name, _ in run.predict([file])[0].labels}
    for language in ("kotlin", "swift"):
        assert command(["export", str(run.folder), "--snippet", language]) == 0
        program = capfd.readouterr().out
        assert "fun names" in program.replace("func", "fun") and "coreThreshold" in program and "{tell}" not in program


@pytest.mark.slow
def test_a_saved_model_names_the_set(run, tensorflow, tmp_path):
    tf = tensorflow
    export(run, ExportOptions(format="savedmodel", output=str(tmp_path / "served")))
    served = tf.saved_model.load(str(tmp_path / "served" / "1"))
    file = two_labels(run)
    pictures = np.stack([np.asarray(Image.open(file)), np.full((32, 32, 3), 110)]).astype(np.float32)
    answer = served.signatures["serving_default"](image=tf.constant(pictures))
    expected = MANY.words(run.probabilities(pictures) > 0.5, NAMES)
    assert [label.decode() for label in answer["label"].numpy()] == expected and ";" in expected[0]


LATENCY = Latency(1.0, 1, 1)


@pytest.mark.parametrize(
    ("after", "said", "told"),
    [
        ([[0.9, 0.6], [0.2, 0.3]], (), ""),
        ([[0.9, 0.6], [0.2, 0.3]], ("a;b", ""), ""),
        ([[0.9, 0.6], [0.2, 0.3]], ("a;b", "a"), "its output `label` differs"),
        ([[0.9, 0.4], [0.2, 0.3]], (), "its set of labels differs from the Keras model's on 1 of 2"),
    ],
)
def test_the_check_compares_sets(after, said, told):
    truth = Truth(np.array([[0.9, 0.6], [0.2, 0.3]]), np.array([[1, 1], [1, 0]], bool), ("a", "b"), labelling=MANY)
    found = check(truth, Answers(np.array(after), ("a", "b"), LATENCY, named=said), 1, False, 0.01)
    assert found.fault.startswith(told) and bool(found.fault) == bool(told)
    assert found.before == 0.5


def test_a_probability_at_one_half_is_a_tie():
    truth = Truth(np.array([[0.9, 0.50001]]), np.array([[1, 1]], bool), ("a", "b"), labelling=MANY)
    found = check(truth, Answers(np.array([[0.9, 0.49999]]), ("a", "b"), LATENCY, {}), 1, False, 0.01)
    assert (found.ties, found.agreement, found.fault) == (1, 1, "")
