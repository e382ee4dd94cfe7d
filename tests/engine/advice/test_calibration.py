"""Probabilities are calibrated in all that a run saves and exports, and nothing that trains or is resumed knows of it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from helpers.tiny_place import furnish, of

import tlapp
from tlapp.engine.advice.calibration import FEWEST, SPREAD, calibration, expected_error, temperature
from tlapp.engine.export.export import export
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.network.deploy import TEMPERATURE, answers_of, head_of, trunk_of
from tlapp.engine.report import Silent

SETTINGS = {"plugin": "freeze", "epochs": 12, "learning_rate": 0.05, "val_share": 0.4, "label_smoothing": 0.6}
AT = "tlapp.engine.advice.results.temperature"


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """A run with enough val pictures, trained with so many smoothed labels that it is less sure than it should be."""
    folder = furnish(tmp_path_factory.mktemp("calibration"), each=60)
    tlapp.train(run=str(folder / "run"), **of(folder), **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def run(place):
    return tlapp.load(place / "run")


def drawn(seed, count, factor):
    """Logits, and labels drawn by their probabilities; the logits are then too large by a factor."""
    dice = np.random.default_rng(seed)
    logits = dice.normal(0, 2, (count, 4))
    odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return logits * factor, (odds.cumsum(1) > dice.random((count, 1))).argmax(1)


def test_the_temperature_is_found_by_which_logits_were_spoilt():
    for factor in (0.4, 1.0, 3.0):
        assert temperature(*drawn(0, 5_000, factor)) == pytest.approx(factor, rel=0.06)


def test_few_labels_that_are_all_right_do_not_make_it_sure_of_everything():
    logits, _ = drawn(1, FEWEST, 1.0)
    right = logits.argmax(1)
    assert temperature(logits, right) < 0.06 and temperature(logits, right, SPREAD) > 0.3


def test_the_expected_error_is_that_of_bins_of_equal_width():
    probabilities = np.array([[0.9, 0.1], [0.92, 0.08], [0.4, 0.6], [0.52, 0.48]])
    # two in a bin of confidence 0.91 and accuracy 0.5; one alone, wrong, at 0.6; another alone, right, at 0.52
    assert expected_error(probabilities, np.array([0, 1, 0, 0])) == pytest.approx((0.82 + 0.6 + 0.48) / 4)
    assert expected_error(np.array([[1.0, 0.0]]), np.array([0])) == 0


def test_without_labels_to_measure_on_nothing_is_said_of_them():
    found = calibration(1.0, {}, {}, {})
    assert found == {"temperature": 1.0, "val_pictures": 0, "ece_before": None, "ece_after": None, "test": None}


def test_the_metrics_say_what_it_did_and_are_those_of_the_deployed_model(run, place):
    found, kept = run.metrics["calibration"], run.files.arrays("probabilities.npz")
    assert found["temperature"] < 0.95 and found["val_pictures"] == len(kept["val"]) >= FEWEST
    assert found["test"]["ece_after"] == pytest.approx(expected_error(kept["test"], kept["test_labels"]))
    before = kept["val"] ** found["temperature"]
    before /= before.sum(1, keepdims=True)
    assert found["ece_before"] == pytest.approx(expected_error(before, kept["val_labels"]), abs=1e-4)
    assert (before.argmax(1) == kept["val"].argmax(1)).all()
    again = run.evaluate(str(place / "run" / "splits.csv"), split="test")
    assert again["loss"] == pytest.approx(run.metrics["test"]["loss"], rel=1e-4)


def test_the_saved_model_divides_once_and_its_head_is_still_found(run):
    import keras

    (layer,) = (layer for layer in run.model.layers if layer.name == TEMPERATURE)
    assert 1 / layer.scale == pytest.approx(run.metrics["calibration"]["temperature"])
    assert isinstance(head_of(run.model), keras.layers.Dense)
    examples = np.random.default_rng(0).integers(0, 256, (3, *run.model.inputs[0].shape[1:])).astype("float32")
    joined = answers_of(run.model)(head_of(run.model)(trunk_of(run.model)([examples])))
    np.testing.assert_allclose(joined, run.model(examples), atol=1e-6)


@pytest.mark.parametrize(("format", "quantize"), [("tflite", "float16"), ("tflite", "int8"), ("onnx", "none")])
def test_exports_are_calibrated(format, quantize, run, tmp_path):
    report = export(run, ExportOptions(format=format, quantize=quantize, output=str(tmp_path / "out"), max_drop=0.1))
    assert report["passed"] and report["check"]["largest_difference"] < (0.05 if quantize == "int8" else 2e-3)
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"divided by {run.metrics['calibration']['temperature']:.3f}" in card and "in-sample" in card


def test_a_saved_model_is_calibrated(run, tmp_path):
    import tensorflow as tf

    from tlapp.engine.export.formats.savedmodel import write

    (tmp_path / "labels.txt").write_text("\n".join(run.labels))
    served = tf.saved_model.load(str(tmp_path / write(run.model, run.labels, tmp_path)))
    examples = np.random.default_rng(0).integers(0, 256, (4, *run.model.inputs[0].shape[1:])).astype("float32")
    answers = served.signatures["serving_default"](tf.constant(examples))["probabilities"]
    np.testing.assert_allclose(answers, run.probabilities(examples), atol=1e-5)


def test_too_few_val_pictures_are_refused_in_one_note(place, shapes, tmp_path):
    notes = []

    class Listener(Silent):
        def note(self, sentence):
            notes.append(sentence)

    settings = {**of(place), "data": str(shapes), "plugin": "feature-extract", "run": str(tmp_path / "few")}
    found = tlapp.train(**settings, reporter=Listener())
    assert found.metrics["calibration"]["temperature"] == 1 and TEMPERATURE not in {layer.name for layer in found.model.layers}
    (note,) = (note for note in notes if "calibrated" in note)
    assert f"takes {FEWEST} val pictures" in note


def test_a_backbone_of_the_run_ends_before_its_head(place, run):
    from tlapp.backbones.file import File

    graph = File().load(str(place / "run"), image_size=of(place)["image_size"]).graph
    assert tuple(graph.outputs[0].shape) == tuple(head_of(run.model).input.shape)


def test_a_run_of_its_delta_answers_as_it(place, tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    monkeypatch.setattr("tlapp.engine.merge.MOST", 0.9)
    monkeypatch.setattr(AT, lambda *given: 1.7)
    own = tlapp.train(run=str(tmp_path / "run"), **of(place), **{**SETTINGS, "epochs": 1})
    again = tlapp.merge(tmp_path / "run" / "adapter.safetensors", tmp_path / "again")
    examples = np.random.default_rng(0).integers(0, 256, (4, *own.model.inputs[0].shape[1:])).astype("float32")
    assert any(layer.name == TEMPERATURE for layer in own.model.layers)
    np.testing.assert_array_equal(own.probabilities(examples), again.probabilities(examples))


def test_what_is_taught_later_keeps_the_temperature(place, tmp_path, monkeypatch):
    *known, new = sorted(path.name for path in (place / "data").iterdir())
    for name in known:
        shutil.copytree(place / "data" / name, tmp_path / "known" / name)
    monkeypatch.setattr(AT, lambda *given: 1.7)
    settings = {**of(place), "data": str(tmp_path / "known"), "plugin": "feature-extract", "classifier": "lda", "val_share": 0.45}
    tlapp.train(run=str(tmp_path / "run"), **settings)
    tlapp.teach(tmp_path / "run", new, sorted(map(str, (place / "data" / new).iterdir()))[:5])
    taught = tlapp.load(tmp_path / "run")
    assert taught.labels == (*known, new) and head_of(taught.model).units == 3
    (divided,) = (layer for layer in taught.model.layers if layer.name == TEMPERATURE)
    assert 1 / divided.scale == pytest.approx(1.7)
