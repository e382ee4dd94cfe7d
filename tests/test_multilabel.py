"""Several labels a picture: what a head with labels = "many" changes, from the CSV to the artifact."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlapp import blame
from tlapp.cli.main import run as command
from tlapp.contracts import Fit, Plan, PluginError, Solve, Strategy, UserError
from tlapp.engine.data import splits, streams
from tlapp.engine.data.labelling import COMMON, LABELLINGS, ONE
from tlapp.engine.data.metrics import set_metrics
from tlapp.engine.data.tables import Item
from tlapp.engine.export import ExportOptions, export, snippets, verify
from tlapp.engine.export.check import Truth, check
from tlapp.engine.export.formats.artifact import Answers, Latency
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.saved import SavedRun
from tlapp.engine.training.feeds import labelled
from tlapp.testing import check_head, tiny_run
from tlapp.testing.check import ContractError

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "tlapp-multilabel"))
from tlapp_multilabel import MultiLabel

ROOT = Path(__file__).parents[1]
MANY = LABELLINGS["many"]
COLOURS = {"blue": (30, 60, 220), "green": (40, 200, 60), "red": (220, 50, 40)}
NAMES = tuple(COLOURS)


class Warm(Strategy):
    """Train everything."""

    def plan(self, task, backbone):
        return Plan((Fit(name="all", rates=backbone.all(), epochs=12, learning_rate=1e-2, batch_norm="update"),))


def documented():
    """The head that docs/plugins.md shows."""
    text = (ROOT / "docs" / "plugins.md").read_text()
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", text.partition("## Reference")[0], re.S) if "(Head)" in block
    )
    inside = {"__name__": __name__}
    exec(code, inside)
    return inside["Several"]


Plain = documented()


def draw(path, names, dice):
    """A grey picture with a bar of each colour."""
    picture = np.full((32, 32, 3), 110) + dice.normal(0, 10, (32, 32, 3))
    for place, name in zip(dice.permutation(4)[: len(names)], names, strict=True):
        picture[:, 8 * place : 8 * place + 8] = COLOURS[name]
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path)


def read(path):
    with open(path, newline="") as file:
        return [*csv.DictReader(file)]


def write(path, rows, header="path,label"):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A CSV of 160 pictures, each with none to three colours; written in any order, and with spaces."""
    folder, dice = tmp_path_factory.mktemp("bars"), np.random.default_rng(0)
    rows = []
    for number in range(160):
        names = [name for name, share in zip(NAMES, (0.5, 0.4, 0.35), strict=True) if dice.random() < share]
        draw(folder / f"{number}.png", names, dice)
        rows.append((f"{number}.png", ("; " if number % 2 else ";").join(dice.permutation(names))))
    return write(folder / "bars.csv", rows)


@pytest.fixture(scope="module")
def run(table, tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("many") / "run"
    tiny_run(Warm(), table, folder, MultiLabel())
    return SavedRun(folder)


def two_labels(run):
    """The file of a test picture with two labels or more."""
    rows = read(run.folder / "splits.csv")
    return next(row["path"] for row in rows if row["split"] == "test" and ";" in row["label"])


# Reading ------------------------------------------------------------------------------------------------------------------------


def load(path, labelling=MANY, **options):
    return streams.load(
        RunOptions(data=str(path), **{key: str(value) for key, value in options.items()}), 32, labelling=labelling
    )


def test_a_cell_names_several_classes_and_none(table):
    dataset = load(table)
    assert dataset.classes == NAMES
    truth = {row["path"]: {name.strip() for name in row["label"].split(";")} - {""} for row in read(table)}
    seen = 0
    for stream in dataset.streams.values():
        assert stream.labels.shape == (len(stream), 3) and stream.labels.dtype == bool
        for file, row in zip(stream.files, stream.labels, strict=True):
            assert {name for name, has in zip(NAMES, row, strict=True) if has} == truth[Path(file).name]
            seen += 1
    assert seen == 160 and set() in truth.values()


def test_splits_csv_repeats_the_split(table, tmp_path):
    rows = streams.split_rows(load(table))
    assert {row.label for row in rows} <= {"", "blue", "green", "red", "blue;green", "blue;red", "green;red", "blue;green;red"}
    assert streams.split_rows(load(write(tmp_path / "again.csv", rows, "path,label,split"))) == rows


def test_a_folder_can_name_several_classes(tmp_path):
    dice = np.random.default_rng(1)
    for name in ("blue", "green", "blue;green", ";"):
        (tmp_path / name).mkdir()
        for number in range(5):
            draw(tmp_path / name / f"{number}.png", [part for part in name.split(";") if part], dice)
    dataset = load(tmp_path)
    assert dataset.classes == ("blue", "green")
    assert np.unique(np.concatenate([stream.labels for stream in dataset.streams.values()]), axis=0).tolist() == [
        [False, False], [False, True], [True, False], [True, True],
    ]  # fmt: skip


def test_with_one_label_a_picture_a_set_is_a_class_of_that_name(table, tmp_path):
    rows = [(table.with_name(f"{i}.png"), ("blue;green", "green;blue", "red")[i % 3]) for i in range(30)]
    dataset = load(write(tmp_path / "one.csv", rows), ONE)
    assert dataset.classes == ("blue;green", "green;blue", "red") and dataset.streams["train"].labels.ndim == 1
    with pytest.raises(UserError, match=r"line 2: its label is empty"):
        load(write(tmp_path / "empty.csv", [(rows[0][0], ""), *rows]), ONE)


def test_bad_input_is_told_in_a_sentence(table, tmp_path):
    pictures = [table.with_name(f"{i}.png") for i in range(20)]
    same = write(tmp_path / "same.csv", [(path, ("red;blue", "blue ;red")[i % 2]) for i, path in enumerate(pictures)])
    with pytest.raises(UserError, match=r"expected at least two sets of labels. Received: one, blue"):
        load(same)
    with pytest.raises(UserError, match=r"expected the columns path,label"):
        load(write(tmp_path / "no.csv", [(path,) for path in pictures], "path"))
    val = write(tmp_path / "val.csv", [(path, "red;gren") for path in pictures])
    with pytest.raises(
        UserError, match=r"--val .*not among the classes trained on \(blue, green, red\): gren .did you mean green"
    ):
        load(table, val=val)


def test_a_target_may_be_labelled_or_not(table, tmp_path):
    pictures = [table.with_name(f"{i}.png") for i in range(20)]
    some = write(tmp_path / "some.csv", [(path, "red" if i else "") for i, path in enumerate(pictures)])
    assert load(table, target=some).streams["target"].labels.sum(0).tolist() == [0, 0, 19]
    with pytest.raises(UserError, match="1 of 20 rows have no label"):
        load(write(tmp_path / "one.csv", [(p, NAMES[i % 2]) for i, p in enumerate(pictures)]), ONE, target=some)
    bare = write(tmp_path / "bare.csv", [(path,) for path in pictures], "path")
    assert load(table, target=bare).streams["target"].labels is None


def test_notes_count_labels(table, tmp_path):
    rows = [(table.with_name(f"{i}.png"), "red;blue" if i % 8 == 0 else "red") for i in range(80)]
    told = "\n".join(load(write(tmp_path / "uneven.csv", rows)).notes)
    assert "in train: red" in told and "red;blue" not in told


# Splits and weights -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_splits_are_stratified_by_set_or_by_the_rarest_label(seed):
    dice = np.random.default_rng(seed)
    sets = [
        tuple(name for name, p in (("a", 0.6), ("b", 0.4), ("c", 0.1), ("d", 0.02)) if dice.random() < p) for _ in range(1000)
    ]
    items = [Item(f"{i}.png", f"{i}.png", ";".join(names)) for i, names in enumerate(sets)]
    shares = {"val": 0.15, "test": 0.2}
    given = splits.assign(items, range(1000), shares, 0, MANY)
    for label in "abcd":
        held = [split for names, split in zip(sets, given, strict=True) if label in names]
        for split, share in shares.items():
            assert held.count(split) == pytest.approx(share * len(held), abs=max(2, 0.03 * len(held))) and split in held
    for names in {names for names in sets if sets.count(names) >= 5 * COMMON}:
        held = [split for other, split in zip(sets, given, strict=True) if other == names]
        assert held.count("test") == pytest.approx(0.2 * len(held), abs=3)


def test_a_label_too_rare_to_split_only_trains():
    items = [Item(f"{i}", f"{i}", "common;rare" if i < 2 else ("common", "")[i % 2]) for i in range(100)]
    assert splits.assign(items, range(100), {"val": 0.15, "test": 0.2}, 0, MANY)[:2] == ["train", "train"]


def test_smoothing_and_weights_are_by_label():
    numbers = np.array([[1, 0]] * 8 + [[1, 1]] + [[0, 1]] + [[0, 0]], bool)
    feed = labelled(None, numbers, 2, RunOptions(label_smoothing=0.1), MANY)
    np.testing.assert_allclose(feed.labels, np.where(numbers, 0.95, 0.05), rtol=1e-6)
    rare, common = 11 / 2 / 2, 11 / 2 / 9
    np.testing.assert_allclose(feed.weights, [common] * 8 + [(rare + common) / 2, rare, 1.0], rtol=1e-6)
    assert (labelled(None, numbers, 2, RunOptions(class_weights="none"), MANY).weights == 1).all()


# Metrics ------------------------------------------------------------------------------------------------------------------------


def test_metrics_against_scikit_learn():
    from sklearn import metrics as reference

    dice = np.random.default_rng(0)
    hot = dice.random((300, 5)) < (0.5, 0.2, 0.1, 0.9, 0.0)
    probabilities = np.clip(np.round(0.35 * hot + dice.random((300, 5)) * 0.65, 2), 0.01, 0.99)  # rounded: many ties
    probabilities[:, 4] /= 3  # a label that neither occurs nor is answered
    answers = probabilities > 0.5
    found = MANY.metrics(probabilities, hot, "abcde")
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(hot, answers)) and 0 < found["accuracy"] < 1
    assert found["micro_f1"] == pytest.approx(reference.f1_score(hot, answers, average="micro"))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(hot[:, :4], answers[:, :4], average="macro"))
    assert found["map"] == pytest.approx(reference.average_precision_score(hot[:, :4], probabilities[:, :4], average="macro"))
    balanced = [reference.balanced_accuracy_score(hot[:, i], answers[:, i]) for i in range(4)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(balanced))
    losses = [reference.log_loss(hot[:, i], probabilities[:, i], labels=[False, True]) for i in range(5)]
    assert found["loss"] == pytest.approx(np.mean(losses))
    assert found["classes"]["b"] == {
        "precision": pytest.approx(reference.precision_score(hot[:, 1], answers[:, 1])),
        "recall": pytest.approx(reference.recall_score(hot[:, 1], answers[:, 1])),
        "f1": pytest.approx(reference.f1_score(hot[:, 1], answers[:, 1])),
        "n": int(hot[:, 1].sum()),
    }
    assert [*found][:4] == ["accuracy", "balanced_accuracy", "macro_f1", "loss"] and found["n"] == 300


def test_metrics_where_no_label_occurs():
    nothing = np.zeros((3, 2), bool)
    found = set_metrics(np.full((3, 2), 0.1), nothing, nothing, "ab")
    assert (found["accuracy"], found["map"], found["macro_f1"], found["micro_f1"]) == (1, 0, 0, 0)


# A run --------------------------------------------------------------------------------------------------------------------------


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


def test_predict_can_answer_with_no_label(run, tmp_path, monkeypatch, capfd):
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
    return Solve(name="solve", rates=rates, solver=None)


def samples(rates):
    return Fit(name="few", rates=rates, epochs=1, learning_rate=1, sampler=object())


@pytest.mark.parametrize(
    ("phase", "words"),
    [(solves, "solves for a head in phase solve"), (samples, "draws pictures by class in phase few")],
)
def test_what_needs_one_label_a_picture_is_refused(phase, words, table, tmp_path):
    class Needs(Strategy):
        """Needs one label."""

        def plan(self, task, backbone):
            return Plan((phase(backbone.frozen()),))

    with pytest.raises(UserError, match=f"--head linear: takes several labels a picture, but strategy Needs {words}"):
        tiny_run(Needs(), table, tmp_path / "run", MultiLabel())
    assert not (tmp_path / "run").exists()


# The head -----------------------------------------------------------------------------------------------------------------------


def test_the_example_keeps_the_contract():
    check_head(MultiLabel())


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"activation": "softmax"}, 'with labels = "many" its activation must be "sigmoid". Received: \'softmax\''),
        ({"labels": "several"}, "its labels must be one of one, many. Received: 'several'"),
    ],
)
def test_a_head_that_does_not_fit_is_told_so(attributes, words):
    odd = type("Odd", (Plain,), {**attributes, "__doc__": "Odd.", "__module__": __name__})()
    with pytest.raises(PluginError) as caught:
        blame.head(odd, "head odd (some 1.0)")
    assert str(caught.value) == f"head odd (some 1.0): {words}"
    with pytest.raises(ContractError, match='breaks the rule "builds"'):
        check_head(odd)


# Export -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["savedmodel", "tflite"])
def exported(request, run):
    return export(run, ExportOptions(format=request.param))


def test_an_artifact_answers_with_the_same_sets(exported, run):
    found, test = exported["check"], run.metrics["test"]
    assert exported["passed"] and found["agreement"] == 1 and found["n"] == test["n"] and found["largest_difference"] < 1e-4
    assert found["accuracy_after"] == found["accuracy_before"] == pytest.approx(test["accuracy"])
    for name, each in found["classes"].items():
        assert each["n"] == test["classes"][name]["n"]
        assert each["accuracy_after"] == pytest.approx(test["classes"][name]["recall"])
    assert verify(exported["folder"])["pictures"] == 8


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
    Path(exported["folder"], "classify.py").write_text(snippets.snippet("python", exported["format"], "many"))
    done = subprocess.run(
        [sys.executable, "classify.py", file], cwd=exported["folder"], capture_output=True, text=True, check=True
    )
    assert {line.split()[0] for line in done.stdout.splitlines()} == {name for name, _ in run.predict([file])[0].labels}
    for language in ("kotlin", "swift"):
        assert command(["export", str(run.folder), "--snippet", language]) == 0
        program = capfd.readouterr().out
        assert "fun names" in program.replace("func", "fun") and "coreThreshold" in program and "{tell}" not in program


def test_a_saved_model_names_the_set(run, tensorflow):
    tf = tensorflow
    served = tf.saved_model.load(str(run.folder / "export" / "savedmodel" / "1"))
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
    found = check(truth, Answers(np.array(after), ("a", "b"), LATENCY, {}, said), 1, False, 0.01)
    assert found.fault.startswith(told) and bool(found.fault) == bool(told)
    assert found.accuracy_before == 0.5


def test_a_probability_at_one_half_is_a_tie():
    truth = Truth(np.array([[0.9, 0.50001]]), np.array([[1, 1]], bool), ("a", "b"), labelling=MANY)
    found = check(truth, Answers(np.array([[0.9, 0.49999]]), ("a", "b"), LATENCY, {}), 1, False, 0.01)
    assert (found.ties, found.agreement, found.fault) == (1, 1, "")
