"""Thresholds that a head chose on val are part of the model: what is answered is above 0.5 in the run and its exports."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.several_labels import NAMES, Warm
from tlapp_plugins.multilabel import MultiLabel

from tlapp.engine.export import metadata
from tlapp.engine.export.export import export
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.network.deploy import THRESHOLDS
from tlapp.engine.runs.saved import SavedRun
from tlapp.testing import tiny_run


@pytest.fixture(scope="module")
def precise(table, tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("precise") / "run"
    tiny_run(Warm(), table, folder, MultiLabel(precision=0.9))
    return SavedRun(folder)


def test_each_label_is_answered_from_its_threshold_on(precise, run):
    found = precise.metrics["thresholds"]
    assert tuple(found) == precise.labels and "thresholds" not in run.metrics
    kept = precise.files.arrays("probabilities.npz")
    odds = kept["val"] / (1 - kept["val"])
    limits = np.array([*found.values()])
    trained = odds * limits / (1 - limits)
    trained /= 1 + trained
    answered = kept["val"] > 0.5
    assert (answered == (trained > limits)).all()
    for number in range(len(limits)):
        right, count = (answered & kept["val_labels"])[:, number].sum(), answered[:, number].sum()
        best = max((kept["val_labels"][trained[:, number] >= each, number]).mean() for each in trained[:, number])
        assert right / count >= min(0.9, best) - 1e-9
    metrics = precise.labelling.metrics(precise_answers := kept["test"], kept["test_labels"], precise.labels)
    assert metrics["micro_f1"] == pytest.approx(precise.metrics["test"]["micro_f1"]) and len(precise_answers)


def test_exports_answer_so_too(precise, tmp_path):
    assert any(layer.name == THRESHOLDS for layer in precise.model.layers)
    report = export(precise, ExportOptions(format="tflite", output=str(tmp_path / "out")))
    assert report["passed"] and report["check"]["agreement"] == 1
    assert report["thresholds"] == metadata.read_reading(tmp_path / "out" / "model.tflite")["thresholds"]
    assert report["thresholds"] == precise.metrics["thresholds"]
    assert b"shifted so that each label is answered above 0.5" in (tmp_path / "out" / "model.tflite").read_bytes()
    assert f", {NAMES[1]} {report['thresholds'][NAMES[1]]:.3f}" in (tmp_path / "out" / "README.md").read_text()
