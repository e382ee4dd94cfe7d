"""A model says "unknown" of as many examples as it was told, and of strangers; so does each of its exports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.fast import check_same_without_tensorflow
from helpers.tiny_place import furnish, of
from PIL import Image
from tlapp_plugins.linear import Linear
from tlapp_plugins.multilabel import MultiLabel

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.advice.unknown import FEWEST, check_unknown, fitted
from tlapp.engine.export.check import Truth, check
from tlapp.engine.export.export import export
from tlapp.engine.export.formats.artifact import Answers, Latency
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.verify import verify
from tlapp.engine.network.known import SAID, cosines, means_of
from tlapp.errors import UserError

HEADS = {"linear": Linear, "multilabel": MultiLabel}
SETTINGS = {"plugin": "freeze", "epochs": 15, "learning_rate": 0.05, "val_share": 0.4}


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    folder = furnish(tmp_path_factory.mktemp("unknown"), each=60)
    (folder / "strange").mkdir()
    for number in range(12):
        grey = np.full((40, 40, 3), 20 * number, np.uint8)
        grey[::2] = 255 - 20 * number
        Image.fromarray(grey).save(folder / "strange" / f"{number}.png")
    tlapp.train(run=str(folder / "run"), unknown=0.9, **of(folder), **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def run(place):
    return tlapp.load(place / "run")


@pytest.fixture(scope="module")
def exported(run, place):
    return {
        (form, quantize): export(
            run, ExportOptions(format=form, quantize=quantize, output=str(place / f"{form}-{quantize}"), max_drop=0.2)
        )
        for form, quantize in (("tflite", "none"), ("tflite", "float16"), ("onnx", "none"), ("keras", "none"))
    }


def test_answers_without_tensorflow_are_the_same(place, run):
    files = [*map(str, sorted((place / "strange").glob("*.png"))), *(row["path"] for row in run.files.splits()[:40])]
    check_same_without_tensorflow(place / "run", files)


def clouds(dice, count):
    """Features of three classes, and probabilities that are surest in their midst."""
    labels = dice.integers(0, 3, count)
    features = np.eye(3, 8)[labels] * 4 + dice.normal(0, 1, (count, 8))
    odds = np.exp(2 * features[:, :3])
    return features.astype(np.float32), odds / odds.sum(1, keepdims=True), labels


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_the_share_that_was_asked_for_is_called_known(coverage):
    dice, shares = np.random.default_rng(0), []
    train, _, labels = clouds(dice, 600)
    for _ in range(60):
        val, test = clouds(dice, 100), clouds(dice, 400)
        shares.append(fitted(train, labels, val[0], val[1], coverage, 1).calls(test[0], test[1]).mean())
    assert abs(np.mean(shares) - coverage) < 0.012


def test_far_away_and_unsure_are_both_unknown():
    dice = np.random.default_rng(1)
    train, _, labels = clouds(dice, 600)
    val = clouds(dice, 200)
    known = fitted(train, labels, val[0], val[1], 0.95, 1)
    far = -train[:50]  # their cosine is that of no class, however sure the model is
    assert not known.calls(far, np.tile([[0.99, 0.005, 0.005]], (50, 1))).any()
    assert not known.calls(train[:50], np.full((50, 3), 1 / 3)).any()


def test_each_class_has_means_of_its_own():
    train, _, labels = clouds(np.random.default_rng(2), 300)
    means = means_of(train, labels, 3)
    assert means.shape == (12, 8) and np.allclose(np.linalg.norm(means, axis=1), 1)
    assert (means.argmax(1) == np.repeat([0, 1, 2], 4)).all()
    assert cosines(means * 7, means) == pytest.approx(np.ones(12))
    assert len(means_of(train[:2], np.array([0, 2]), 3)) == 2  # as many as there are examples


def test_the_run_says_so_and_its_metrics_tell_how_often(run, place):
    found, model = run.metrics["unknown"], run.judging
    assert found["coverage"] == 0.9 and found["val_pictures"] >= FEWEST
    assert found["val"]["coverage"] == pytest.approx(0.9, abs=0.05)
    assert len(run.model.outputs) == 1 and model.output_names == ["known", "probabilities"]
    again = run.evaluate(str(place / "run" / "splits.csv"), split="test")["known"]
    assert again == found["test"]
    strange = run.predict(sorted((place / "strange").iterdir()))
    assert sum(each.known is False for each in strange) > 0.7 * len(strange)


def test_every_export_has_the_output_and_its_check_compares_it(exported, run):
    for (_, quantize), report in exported.items():
        known = report["check"]["known"]
        assert known["share_before"] == pytest.approx(run.metrics["unknown"]["test"]["coverage"])
        assert known["agreement"] >= (0.98 if quantize == "float16" else 1)
        assert "`known` is below 0.5" in Path(report["folder"], "README.md").read_text()


def test_the_program_in_its_card_says_unknown(exported, run, place, capsys, monkeypatch):
    files = [str(place / "strange" / "5.png"), *(row["path"] for row in run.files.splits() if row["split"] == "train")][:9]
    answers = run.predict(files)
    assert {each.known for each in answers} == {True, False}
    for (_, quantize), report in exported.items():
        if quantize != "none":
            continue
        monkeypatch.chdir(report["folder"])
        program = Path("README.md").read_text().partition("```python\n")[2].partition("```")[0]
        for file, answer in zip(files, answers, strict=True):
            monkeypatch.setattr("sys.argv", ["classify.py", file])
            exec(program, {})
            said = capsys.readouterr().out.strip()
            assert said.startswith("unknown (") != answer.known
            label, _, share = said.removeprefix("unknown (").removesuffix(")").rpartition(" ")
            assert (label, float(share)) == (answer.label, pytest.approx(answer.value, abs=2e-4))


def test_an_export_predicts_as_its_run_and_is_verified(exported, run, place):
    strange = sorted(map(str, (place / "strange").iterdir()))
    ours = [each.known for each in run.predict(strange)]
    for (form, quantize), report in exported.items():
        loaded = tlapp.load(report["folder"])
        assert loaded.says_unknown
        if quantize == "none":
            assert [each.known for each in loaded.predict(strange)] == ours
            assert verify(report["folder"])["format"] == form


def test_a_golden_answer_that_was_altered_is_found(exported, tmp_path):
    folder = shutil.copytree(exported["tflite", "none"]["folder"], tmp_path / "copy")
    path = folder / "golden.json"
    golden = json.loads(path.read_text())
    golden["vectors"][0]["known"] = 1 - golden["vectors"][0]["known"] + 0.1
    path.write_text(json.dumps(golden))
    with pytest.raises(UserError, match="output `known` differs"):
        verify(folder)


def test_a_saved_model_has_the_output(run, tmp_path):
    import tensorflow as tf

    from tlapp.engine.export.formats.savedmodel import write

    (tmp_path / "labels.txt").write_text("\n".join(run.labels))
    served = tf.saved_model.load(str(tmp_path / write(run.judging, run.labels, tmp_path))).signatures["serving_default"]
    examples = np.random.default_rng(0).integers(0, 256, (4, *run.model.inputs[0].shape[1:])).astype("float32")
    answers = served(tf.constant(examples))
    assert set(answers) == {"known", "label", "probabilities"}
    np.testing.assert_array_equal(answers["known"].numpy()[:, 0] >= SAID, run.judged(examples)[1])


def test_predict_says_unknown_in_every_form(place, capfd, tmp_path):
    files = sorted(map(str, (place / "strange").iterdir()))
    assert command(["predict", str(place / "run"), *files]) == 0
    assert ": unknown (" in capfd.readouterr().out
    assert command(["predict", str(place / "run"), *files, "--json"]) == 0
    assert {each["known"] for each in json.loads(capfd.readouterr().out)["predictions"]} >= {False}
    table = tmp_path / "answers.csv"
    for _ in range(2):  # the second writes over the first, which it takes for its own
        assert command(["predict", str(place / "run"), *files, "--output", str(table)]) == 0
    assert table.read_text().splitlines()[0] == "path,label,probability,known,error" and ",false," in table.read_text()


def test_evaluate_prints_the_coverage(place, capfd):
    assert command(["evaluate", str(place / "run"), "--data", str(place / "run" / "splits.csv")]) == 0
    assert "known " in capfd.readouterr().out


@pytest.mark.parametrize(
    ("head", "val", "refit", "words"),
    [
        ("multilabel", 100, False, "name one class by a softmax"),
        ("linear", 20, False, "at least 50 val pictures to choose a threshold; there are 20"),
        ("linear", None, False, "there are 0"),
        ("linear", 100, True, "option refit trains on it"),
    ],
)
def test_it_is_refused_where_it_makes_no_sense(head, val, refit, words):
    with pytest.raises(UserError, match=words) as error:
        check_unknown(0.95, HEADS[head](), val, "picture", refit)
    assert error.value.option == "unknown"
    check_unknown(None, HEADS[head](), val, "picture", refit)


def test_a_coverage_near_one_needs_more():
    with pytest.raises(UserError, match="at least 99 val"):
        check_unknown(0.99, Linear(), 98, "picture", False)
    check_unknown(0.99, Linear(), 99, "picture", False)


def test_such_a_run_is_taught_nothing(place, tmp_path):
    settings = {**of(place), "plugin": "feature-extract", "classifier": "lda", "val_share": 0.4, "unknown": 0.9}
    tlapp.train(run=str(tmp_path / "run"), **settings)
    with pytest.raises(UserError, match="knows its own classes only"):
        tlapp.teach(tmp_path / "run", "new", [str(place / "strange")])
    new = tlapp.adapt(tmp_path / "run", place / "data", tmp_path / "adapted")
    assert not new.says_unknown and new.settings["unknown"] is None


def checked(known, quantised):
    """The fault of an artifact that says this of fifty examples that the Keras model calls known, all but two."""
    truth = np.full((50, 1), 0.9, np.float32)
    truth[:2] = 0.1
    rows = np.tile([[0.9, 0.1]], (50, 1))
    answers = Answers(rows, ("a", "b"), Latency(1.0, 1, 1), known=known)
    return check(Truth(rows, np.zeros(50, int), ("a", "b"), known=truth), answers, 1, quantised, 0.0).fault


def test_an_artifact_that_decides_otherwise_fails_its_check():
    same = np.full((50, 1), 0.8, np.float32)
    same[:2] = 0.2
    one, two = same.copy(), same.copy()
    one[3], two[3:5] = 0.2, 0.2
    assert checked(same, False) == checked(same, True) == checked(one, True) == ""
    assert "agrees with the Keras model's on only 98.0% of 50" in checked(one, False)
    assert "only 96.0%" in checked(two, True)
    assert "has no output `known`" in checked(None, True)
