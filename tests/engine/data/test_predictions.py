"""The answers to val and test, the surest mistakes first."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.image_sets import load, two_classes

from tlapp.cli.result import class_lines
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.data.predictions import answers, surest_mistakes_first
from tlapp.engine.runs.folder import RunFolder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


def test_the_surest_mistakes_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two_classes(tmp_path / "d")
    dataset = load("d")
    test = dataset.streams["test"]
    assert test.labels.tolist() == [0, 0, 1, 1]
    rows = answers(dataset, "test", np.array([[0.9, 0.1], [0.45, 0.55], [0.95, 0.05], [0.4, 0.6]]))
    assert [row.source for row in rows] == [str(tmp_path / file) for file in test.files]
    told = [row[1:6] for row in surest_mistakes_first(rows)]
    assert told == [
        ("test", "dogs", "cats", 0.95, 0.05), ("test", "cats", "dogs", 0.55, 0.45),
        ("test", "dogs", "dogs", 0.6, 0.6), ("test", "cats", "cats", 0.9, 0.9),
    ]  # fmt: skip
    files = RunFolder(tmp_path)
    files.write_predictions(rows[:1])
    assert files.file("predictions.csv").read_text().splitlines() == [
        "path,split,label,predicted,probability,label_probability", f"{rows[0].source},test,cats,cats,0.900000,0.900000",
    ]  # fmt: skip


def test_of_several_labels_the_whole_set_counts():
    probabilities, true = np.array([[0.9, 0.8, 0.1], [0.2, 0.1, 0.4]]), np.array([[1, 0, 0], [0, 0, 0]], bool)
    many = LABELLINGS["many"]
    np.testing.assert_allclose(many.likelihood(probabilities, many.decide(probabilities)), [0.9 * 0.8 * 0.9, 0.8 * 0.9 * 0.6])
    np.testing.assert_allclose(many.likelihood(probabilities, true), [0.9 * 0.2 * 0.9, 0.8 * 0.9 * 0.6])
    assert many.words(many.decide(probabilities), ("a", "b", "c")) == ["a;b", ""]


def split(**recalls):
    return {"classes": {name: {"recall": recall, "precision": 0.5, "n": 4} for name, recall in recalls.items()}}


def test_the_worst_class_is_shown_first_and_ten_at_most():
    lines = list(class_lines("test", split(cat=0.75, dog=0.0, mule=0.5)))
    assert lines[0] == "test: classes, the lowest recall first"
    assert [line.split()[0] for line in lines[1:]] == ["dog", "mule", "cat"]
    assert lines[1] == "  dog   recall 0.0000  precision 0.5000  (4 pictures)"
    lines = list(class_lines("val", split(**{f"class{i}": i / 40 for i in range(40)})))
    assert lines[0] == "val: 10 of 40 classes, the lowest recall first" and len(lines) == 11


def test_a_class_without_pictures_is_not_shown():
    some = split(cat=0.75, dog=0.0)
    some["classes"]["dog"]["n"] = 0
    assert [line.split()[0] for line in class_lines("test", some)] == ["test:", "cat"]
