"""Runs are told to TensorBoard and MLflow, read back by these packages' own readers; a reporter that fails costs no run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.tiny_place import furnish, of

import tlapp
from tlapp import registry
from tlapp.cli.main import run as command
from tlapp.contracts import RunReporter
from tlapp.engine.report import Silent
from tlapp.errors import PluginError, UserError

SETTINGS = {"plugin": "partial", "warmup": 2, "epochs": 2, "last": 1}


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """A run that told both."""
    folder = furnish(tmp_path_factory.mktemp("reporting"), each=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"file://{folder}/mlruns")
        tlapp.train(run=str(folder / "run"), log=("tensorboard", "mlflow"), **of(folder), **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def run(place):
    return tlapp.load(place / "run")


def history(run):
    """The val loss of each epoch."""
    rows = [line.split(",") for line in (run.folder / "history.csv").read_text().splitlines()]
    return [float(row[4]) for row in rows if row[2:4] == ["val", "loss"]]


def test_tensorboard_reads_the_scalars_rates_and_confusion(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.folder / "logs" / "tensorboard"))
    events.Reload()
    losses = events.Scalars("val/loss")
    assert [each.step for each in losses] == [1, 2, 3, 4]
    assert [each.value for each in losses] == pytest.approx(history(run))
    assert len(events.Scalars("warm-up/train/loss")) == 2
    phase = run.files.plan()["phases"][1]
    (stage, factor), *_ = phase["stages"].items()
    assert events.Scalars(f"rate/{stage}")[0].value == pytest.approx(factor * phase["learning_rate"])
    assert events.Scalars("result/test/accuracy")[0].value == pytest.approx(run.metrics["test"]["accuracy"])
    (image,) = events.Images("confusion")
    assert image.width == image.height == 480 and image.encoded_image_string.startswith(b"\x89PNG")


def test_mlflow_has_parameters_metrics_and_the_folder(run, place, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = MlflowClient(f"file://{place}/mlruns")
    (found,) = client.search_runs([client.get_experiment_by_name("tlapp").experiment_id])
    assert found.info.status == "FINISHED" and found.data.params["plugin"] == "partial" and found.data.params["last"] == "1"
    losses = client.get_metric_history(found.info.run_id, "val/loss")
    assert [each.value for each in sorted(losses, key=lambda each: each.step)] == pytest.approx(history(run))
    assert found.data.metrics["result/test/accuracy"] == pytest.approx(run.metrics["test"]["accuracy"])
    inside = {each.path for each in client.list_artifacts(found.info.run_id)}
    assert {"model.keras", "metrics.json", "settings.yaml"} <= inside


class Loud(RunReporter):
    """Notes what it is told, and fails or stops where it is to."""

    contract = "1.2"
    fails: str = ""
    stops: int = 0

    def check(self):
        self._tell("check")

    def begun(self, run):
        self._tell("begun", run)

    def epoch(self, epoch):
        self._tell("epoch", epoch)
        return epoch.step == self.stops

    def finished(self, result):
        self._tell("finished", result)

    def stopped(self, reason):
        self._tell("stopped", reason)

    def _tell(self, method, facts=None):
        TOLD.append((method, facts))
        if method == self.fails:
            raise ValueError("no room\nleft")


TOLD: list = []


@pytest.fixture
def loud(monkeypatch):
    """Registers a `Loud` with these fields as the reporter "loud"."""

    def register(**fields):
        TOLD.clear()
        loaded = registry.load
        known = {"loud": lambda: Loud(**fields)}
        monkeypatch.setattr(registry, "load", lambda kind, name: known.get(name) or loaded(kind, name))

    return register


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, sentence):
        self.notes.append(sentence)


@pytest.mark.parametrize(
    "method", [pytest.param("begun", marks=pytest.mark.slow), "epoch", pytest.param("finished", marks=pytest.mark.slow)]
)
def test_one_that_fails_is_told_no_more_and_the_run_goes_on(method, place, tmp_path, loud):
    loud(fails=method)
    listener = Notes()
    run = tlapp.train(run=str(tmp_path / "run"), log=("loud",), reporter=listener, **of(place), **SETTINGS)
    assert run.metrics["test"]["accuracy"] > 0
    (note,) = (note for note in listener.notes if "loud" in note)
    assert f"failed in {method}(), and is told no more" in note and "no room" in note
    assert [each for each, _ in TOLD][-1] == method and [each for each, _ in TOLD].count(method) == 1


def test_one_can_ask_the_run_to_stop(place, tmp_path, loud):
    loud(stops=1)
    listener = Notes()
    run = tlapp.train(run=str(tmp_path / "run"), log=("loud",), reporter=listener, **of(place), **{**SETTINGS, "warmup": 9})
    epochs = [(facts.phase, facts.epoch) for method, facts in TOLD if method == "epoch"]
    assert epochs == [("warm-up", 1), ("tune", 1)] and run.is_finished
    assert sum("asks the run to stop" in note for note in listener.notes) == 1
    result = TOLD[-1][1]
    assert result.metrics == json.loads((run.folder / "metrics.json").read_text()) and result.labels == run.labels
    matrix, kept = np.array(result.confusion), run.files.arrays("probabilities.npz")
    assert matrix.sum() == len(kept["test_labels"]) and (matrix.sum(1) == np.bincount(kept["test_labels"])).all()
    assert np.trace(matrix) / matrix.sum() == pytest.approx(run.metrics["test"]["accuracy"])


def test_it_is_told_of_an_end_without_a_result(place, tmp_path, loud):
    loud()

    class Stops(Silent):
        def epoch(self, epoch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tlapp.train(run=str(tmp_path / "run"), log=("loud",), reporter=Stops(), **of(place), **SETTINGS)
    assert [method for method, _ in TOLD] == ["check", "begun", "stopped"]


def test_one_that_cannot_begin_is_refused_before_anything_is_read(tmp_path, loud, monkeypatch):
    loud(fails="check")
    with pytest.raises(PluginError, match=r"does not begin: .*no room"):
        tlapp.train(run=str(tmp_path / "run"), data=str(tmp_path), log=("loud",))
    with pytest.raises(UserError, match="no reporter of that name is installed"):
        tlapp.train(run=str(tmp_path / "run"), data=str(tmp_path), log=("tensorbord",))
    with pytest.raises(UserError, match="twice"):
        tlapp.train(run=str(tmp_path / "run"), data=str(tmp_path), log=("mlflow", "mlflow"))
    monkeypatch.setattr("tlapp.reporters.mlflow.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'tlapp\[mlflow\]'"):
        tlapp.train(run=str(tmp_path / "run"), data=str(tmp_path), log=("mlflow",))


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_each_keeps_the_contract(name, capfd, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert command(["plugins", "check", name]) == 0
    out = capfd.readouterr().out
    assert "told" in out and "BROKEN" not in out and "not tried" not in out
