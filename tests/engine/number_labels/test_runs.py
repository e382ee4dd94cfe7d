"""Labels that are numbers: what a run learns, answers and exports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.fast import check_same_without_tensorflow
from helpers.several_labels import read
from tlapp_plugins.adversarial import Adversarial
from tlapp_plugins.distill import Distill
from tlapp_plugins.feature_extract import FeatureExtract
from tlapp_plugins.multi_task import MultiTask
from tlapp_plugins.regression import Regression

from tlapp.cli.main import run as command
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.export import snippets
from tlapp.engine.export.check import Truth, check
from tlapp.engine.export.export import export
from tlapp.engine.export.formats import named
from tlapp.engine.export.formats.artifact import Answers, Latency
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.verify import verify
from tlapp.errors import UserError
from tlapp.testing import check_head, tiny_run

NUMBER = LABELLINGS["number"]


def test_answers_are_in_the_labels_unit(run):
    rows = [row for row in read(run.folder / "splits.csv") if row["split"] == "test"]
    answers = run.predict([row["path"] for row in rows])
    errors = np.array([answer.value - float(row["label"]) for answer, row in zip(answers, rows, strict=True)])
    test = run.metrics["test"]
    assert test["r2"] > 0.99 and test["n"] == len(rows)
    assert test["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-3)
    assert {answer.label for answer in answers} == {"value"}


def test_answers_without_tensorflow_are_the_same(run):
    check_same_without_tensorflow(run.folder, [row["path"] for row in read(run.folder / "splits.csv")][:40])


def test_the_largest_errors_come_first(run):
    rows = read(run.folder / "predictions.csv")
    errors = [abs(float(row["predicted"]) - float(row["label"])) for row in rows]
    assert errors == sorted(errors, reverse=True) and errors[-1] > 0 and {row["probability"] for row in rows} == {""}


def test_history_and_selection_go_by_the_same_measure(run):
    rows = [row for row in read(run.folder / "history.csv") if row["split"] == "val"]
    assert {row["name"] for row in rows} == {"loss", "r2"}
    losses = [float(row["value"]) for row in rows if row["name"] == "loss"]
    assert run.metrics["val"]["loss"] == pytest.approx(min(losses), rel=1e-4)


@pytest.mark.parametrize(
    "kind", [pytest.param("savedmodel", marks=pytest.mark.slow), "tflite", pytest.param("keras", marks=pytest.mark.slow), "onnx"]
)
def test_every_format_answers_with_the_number(run, kind, tmp_path):
    report = export(run, ExportOptions(format=kind, output=str(tmp_path / kind)))
    found, test = report["check"], run.metrics["test"]
    assert report["passed"] and found["metric"] == "r2" and found["agreement"] == 1 and found["classes"] == {}
    assert found["r2_after"] == pytest.approx(test["r2"], abs=1e-4) and "accuracy_after" not in found
    folder, file = Path(report["folder"]), read(run.folder / "splits.csv")[0]["path"]
    assert verify(folder)["images"] == 8
    (folder / "classify.py").write_text(snippets.snippet("python", named(kind), run.input.export, "number"))
    done = subprocess.run([sys.executable, "classify.py", file], cwd=folder, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(run.predict([file])[0].value, rel=1e-3)
    card = (folder / "README.md").read_text()
    assert "Says a number of a picture" in card and "R2" in card and "type: r2" in card


@pytest.mark.parametrize("quantize", ["dynamic", "int8"])
def test_rounded_files_lose_little(run, quantize, tmp_path):
    report = export(run, ExportOptions(format="tflite", quantize=quantize, output=str(tmp_path / quantize), max_drop=0.05))
    assert report["check"]["r2_drop"] <= 0.05


@pytest.mark.slow
def test_a_server_gets_a_value_and_no_label(run, tmp_path, tensorflow):
    report = export(run, ExportOptions(format="savedmodel", output=str(tmp_path / "s")))
    served = tensorflow.saved_model.load(str(Path(report["folder"]) / "1"))
    image = tensorflow.constant(np.full((2, 32, 32, 3), 100, np.float32))
    answer = served.signatures["serving_default"](image=image)
    assert set(answer) == {"value"} and answer["value"].shape == (2, 1)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ([[100.0], [200.0], [300.0]], ""),
        ([[100.01], [200.0], [300.0]], ""),
        ([[100.2], [200.0], [300.0]], "its outputs differ from the Keras model's by up to 0.2000"),
        ([[150.0], [200.0], [300.0]], "its number differs from the Keras model's on 1 of 3"),
        ([[np.nan], [200.0], [300.0]], "its outputs are not all finite numbers"),
    ],
)
def test_the_check_compares_numbers(after, told):
    truth = Truth(np.array([[100.0], [200.0], [300.0]]), np.array([110.0, 190.0, 310.0]), ("value",), labelling=NUMBER)
    found = check(truth, Answers(np.array(after), ("value",), Latency(1.0, 1, 1)), 1, False, 0.01)
    assert found.fault.startswith(told) and bool(found.fault) == bool(told)


@pytest.mark.parametrize("head", [Regression(), Regression(outliers=1.0), Regression(hidden=4, dropout=0.1)])
@pytest.mark.slow
def test_keeps_the_contract(head):
    check_head(head)


def test_outliers_pull_less():
    labels, outputs = np.array([[0.0]]), np.array([[10.0]])
    plain, huber = (float(head.loss(labels, outputs)[0]) for head in (Regression(), Regression(outliers=1.0)))
    small = float(Regression(outliers=1.0).loss(labels, np.array([[0.5]]))[0])
    assert plain == 100 and huber == pytest.approx(2 * (10 - 0.5)) and small == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("strategy", "more", "words"),
    [
        (FeatureExtract(), {}, "takes a number as the label, but the strategy fits a head in closed form"),
        (Adversarial(), {"target": True}, "judges the target by its predicted classes"),
        (Distill(teacher="x"), {}, "needs a head with one label an example"),
        (MultiTask(), {"aux": True}, "learns two sets of classes"),
    ],
)
def test_what_needs_classes_is_refused(strategy, more, words, table, tmp_path):
    with pytest.raises(UserError, match=words):
        tiny_run(strategy, table, tmp_path / "run", Regression(), **{name: str(table) for name in more})


def test_the_command_line_says_numbers(run, tmp_path, capfd):
    assert command(["evaluate", str(run.folder), "--data", str(run.folder / "splits.csv")]) == 0
    said = capfd.readouterr().out
    assert said.startswith("test") and f"R2 {run.metrics['test']['r2']:.4f}" in said and "recall" not in said
    file = read(run.folder / "splits.csv")[0]["path"]
    assert command(["predict", str(run.folder), file, "--output", str(tmp_path / "a.csv")]) == 0
    (row,) = read(tmp_path / "a.csv")
    assert list(row) == ["path", "label", "error"] and float(row["label"]) == pytest.approx(
        run.predict([file])[0].value, rel=1e-5
    )
    capfd.readouterr()
    assert command(["predict", str(run.folder), file, "--output", str(tmp_path / "a.csv")]) == 0, "over its own answers"
    capfd.readouterr()
    assert command(["predict", str(run.folder), file]) == 0
    assert capfd.readouterr().out == f"{file}: {float(row['label']):.6g}\n"
    assert command(["runs", str(run.folder), "--json"]) == 0
    (entry,) = json.loads(capfd.readouterr().out)["runs"]
    assert entry["accuracy"] is None and entry["r2"] == pytest.approx(run.metrics["test"]["r2"])
    assert command(["export", str(run.folder), "--format", "tflite", "--snippet", "swift"]) == 2
    assert "answers with a number" in capfd.readouterr().err


def test_options_about_classes_are_refused(table, capfd):
    for option in (["--label-smoothing", "0.2"], ["--class-weights", "none"]):
        code = command(["train", "--plugin", "freeze", "--head", "regression", "--data", str(table), *option, "--dry-run"])
        assert code == 2 and "labels are numbers" in capfd.readouterr().err
