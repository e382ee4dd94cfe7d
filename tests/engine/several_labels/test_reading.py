"""Several labels an image: tables, splits, weights and metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.several_labels import NAMES, draw, load, read, write

from tlapp.contracts import UserError
from tlapp.engine.data import splits, streams
from tlapp.engine.data.classes import COMMON
from tlapp.engine.data.intervals import share
from tlapp.engine.data.labelling import LABELLINGS, ONE
from tlapp.engine.data.metrics import set_metrics
from tlapp.engine.data.tables import Item
from tlapp.engine.options import RunOptions
from tlapp.engine.training.feeds import labelled

MANY = LABELLINGS["many"]


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
        UserError, match=r"option val=.*not among the classes trained on \(blue, green, red\): gren .did you mean green"
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
        for split, part in shares.items():
            assert held.count(split) == pytest.approx(part * len(held), abs=max(2, 0.03 * len(held))) and split in held
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
        "recall_interval": share(int((hot & answers)[:, 1].sum()), int(hot[:, 1].sum())),
    }
    first = [name for name in found if not name.endswith("_interval")][:4]
    assert first == ["accuracy", "balanced_accuracy", "macro_f1", "loss"] and found["n"] == 300


def test_metrics_where_no_label_occurs():
    nothing = np.zeros((3, 2), bool)
    found = set_metrics(np.full((3, 2), 0.1), nothing, nothing, "ab")
    assert (found["accuracy"], found["map"], found["macro_f1"], found["micro_f1"]) == (1, 0, 0, 0)
