"""Several labels an image: training, prediction, evaluation and the head's contract."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.fast import check_same_without_tensorflow
from helpers.several_labels import NAMES, Warm, documented, read, two_labels, write
from PIL import Image
from tlapp_plugins.multilabel import MultiLabel

from tlapp import blame
from tlapp.cli.main import run as command
from tlapp.contracts import Fit, Plan, PluginError, Solve, Strategy, UserError
from tlapp.engine.export.fast import FastRun
from tlapp.engine.runs.saved import SavedRun
from tlapp.testing import check_head, tiny_run
from tlapp.testing.check import ContractError

Plain = documented()


def test_it_learns_and_tells_the_metrics(run, table, tmp_path):
    test = run.metrics["test"]
    assert test["accuracy"] > 0.7 and test["map"] > 0.9 and test["micro_f1"] > 0.8
    assert run.labels == NAMES and json.loads((run.folder / "plan.json").read_text())["labelling"] == "many"
    rows = [row for row in read(run.folder / "splits.csv") if row["split"] == "test"]
    again = run.evaluate(str(write(tmp_path / "test.csv", [(row["path"], row["label"]) for row in rows])))
    assert again["n"] == test["n"] == len(rows)
    for name in ("accuracy", "map", "macro_f1", "loss"):
        assert again[name] == pytest.approx(test[name], abs=1e-4)


def test_the_contracts_own_loss_is_binary_cross_entropy(run, table, tmp_path):
    tiny_run(Warm(), table, tmp_path / "run", Plain())
    assert SavedRun(tmp_path / "run").metrics["test"]["map"] > 0.9
    labels, outputs = np.array([[1.0, 0.0], [0.25, 0.5]]), np.array([[2.0, 1.0], [0.0, -1.0]])
    likely = 1 / (1 + np.exp(-outputs))
    expected = -(labels * np.log(likely) + (1 - labels) * np.log(1 - likely)).mean(1)
    for head in (Plain(), MultiLabel()):
        np.testing.assert_allclose(head.loss(labels, outputs), expected, rtol=1e-5)


def test_predict_tells_what_is_above_one_half(run, capfd):
    file = two_labels(run)
    (row,) = run.probabilities(np.asarray(Image.open(file))[None])
    (said,) = run.predict([file])
    assert [name for name, _ in said.labels] == [NAMES[i] for i in np.argsort(-row) if row[i] > 0.5]
    assert command(["predict", str(run.folder), file, "--top", "3", "--json"]) == 0
    (found,) = json.loads(capfd.readouterr().out)["predictions"]
    assert [*found["labels"]] == [NAMES[i] for i in np.argsort(-row)]
    assert command(["predict", str(run.folder), file]) == 0
    assert capfd.readouterr().out.strip() == f"{file}: " + ", ".join(f"{name} {p:.4f}" for name, p in said.labels)


def test_answers_without_tensorflow_are_the_same(run):
    check_same_without_tensorflow(run.folder, [row["path"] for row in read(run.folder / "splits.csv")][:40])


def test_predict_can_answer_with_no_label(run, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(FastRun, "fast", None)
    monkeypatch.setattr(SavedRun, "probabilities", lambda self, pictures: np.full((len(pictures), 3), 0.5, np.float32))
    file = two_labels(run)
    (said,) = run.predict([file])
    assert (said.labels, said.label) == ((), "")
    assert command(["predict", str(run.folder), file]) == 0
    assert capfd.readouterr().out.strip() == f"{file}: no label above 0.5"


def test_evaluate_prints_the_metrics_of_sets(run, table, capfd):
    assert command(["evaluate", str(run.folder), "--data", str(table)]) == 0
    out = capfd.readouterr().out
    assert "mAP" in out and "micro F1" in out and "(160 pictures)" in out


def solves(rates):
    return Solve(name="solve", rates=rates, solver=print)


class Drawing:
    def batches(self, task, stream, size, seed):
        raise AssertionError("no batch is drawn before the refusal")


def samples(rates):
    return Fit(name="few", rates=rates, epochs=1, learning_rate=1, sampler=Drawing())


@pytest.mark.parametrize(
    ("phase", "words"),
    [(solves, "fits a head in closed form in phase solve"), (samples, "draws examples by class in phase few")],
)
def test_what_needs_one_label_a_picture_is_refused(phase, words, table, tmp_path):
    class Needs(Strategy):
        """Needs one label."""

        def plan(self, task, backbone):
            return Plan((phase(backbone.frozen()),))

    with pytest.raises(UserError, match=f"option head=linear: takes several labels an example, but the strategy {words}"):
        tiny_run(Needs(), table, tmp_path / "run", MultiLabel())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_example_keeps_the_contract():
    check_head(MultiLabel())


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"activation": "softmax"}, 'with labels = "many" its activation must be "sigmoid". Received: \'softmax\''),
        ({"labels": "several"}, "its labels must be one of one, many, number. Received: 'several'"),
    ],
)
def test_a_head_that_does_not_fit_is_told_so(attributes, words):
    odd = type("Odd", (Plain,), {**attributes, "__doc__": "Odd.", "__module__": __name__})()
    with pytest.raises(PluginError) as caught:
        blame.head(odd, "head odd (some 1.0)")
    assert str(caught.value) == f"head odd (some 1.0): {words}"
    with pytest.raises(ContractError, match='breaks the rule "builds"'):
        check_head(odd)
