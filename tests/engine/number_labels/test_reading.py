"""Labels that are numbers: how they are read, split, scaled and measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.several_labels import read, write
from PIL import Image
from sklearn import metrics as reference

from tlapp.engine.data import streams
from tlapp.engine.data.labelling import LABELLINGS, unfit
from tlapp.engine.data.metrics import number_metrics
from tlapp.engine.inputs.images import Images
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

NUMBER = LABELLINGS["number"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


def load(data):
    return streams.load(RunOptions(data=str(data)), Images(32), labelling=NUMBER)


def images(folder, names):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 40, 90)).save(path)


@pytest.mark.parametrize("cell", ["tall", "1,5", "nan", "inf", "1e999"])
def test_a_label_that_is_no_number_is_refused(tmp_path, cell):
    images(tmp_path, ["1.png", "2.png"])
    table = write(tmp_path / "t.csv", [("1.png", "3"), ("2.png", cell)])
    with pytest.raises(UserError, match=rf"2\.png: .*must be a number.*Received: {cell}"):
        load(table)


def test_all_numbers_equal_are_refused(tmp_path):
    images(tmp_path, [f"{i}.png" for i in range(4)])
    with pytest.raises(UserError, match=r"at least two numbers\. Received: one, 3"):
        load(write(tmp_path / "t.csv", [(f"{i}.png", "3") for i in range(4)]))


def test_folders_may_be_numbers(tmp_path):
    images(tmp_path, [f"{value}/{i}.png" for value in ("-1.5", "2", "10") for i in range(12)][:36])
    dataset = load(tmp_path)
    assert set(np.concatenate([stream.labels for stream in dataset.streams.values()]).tolist()) == {-1.5, 2.0, 10.0}
    assert dataset.classes == ("value",)


def test_every_split_has_low_and_high_numbers(table):
    dataset = load(table)
    for name in ("train", "val", "test"):
        labels = dataset.streams[name].labels
        assert abs(np.median(labels) - 12_500) < 1500 and labels.min() < 4500 and labels.max() > 20_500
    train = dataset.streams["train"].labels
    assert dataset.labelling.scale == (train.std(), train.mean())
    soft = dataset.labelling.soft(train, 1, 0.1)
    assert soft.shape == (len(train), 1) and abs(soft.mean()) < 1e-5 and abs(soft.std() - 1) < 1e-5


def test_few_numbers_are_one_stratum():
    assert NUMBER.strata([str(i) for i in range(19)]) == ["0"] * 19
    assert len(set(NUMBER.strata([str(i) for i in range(100)]))) == 10 and NUMBER.strata([]) == []


def test_numbers_are_written_as_they_were():
    numbers = NUMBER.numbers(["3", "0.1", "-2.50", "1e-7"], ())
    assert NUMBER.words(numbers, ()) == ["3", "0.1", "-2.5", "1e-07"]
    assert NUMBER.numbers(NUMBER.words(numbers, ()), ()).tolist() == numbers.tolist()


def test_the_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    true, answers = rng.normal(50, 9, 80), rng.normal(50, 9, 80).astype(np.float32)
    metrics = number_metrics(answers, true)
    assert metrics["r2"] == pytest.approx(reference.r2_score(true, answers))
    assert metrics["mae"] == pytest.approx(reference.mean_absolute_error(true, answers))
    assert metrics["rmse"] == pytest.approx(reference.root_mean_squared_error(true, answers))
    assert metrics["loss"] == pytest.approx(1 - metrics["r2"]) and metrics["n"] == 80


@pytest.mark.parametrize(("answers", "r2"), [([3, 3], 1.0), ([3, 4], 0.0)])
def test_of_equal_numbers_r2_is_that_of_scikit_learn(answers, r2):
    metrics = number_metrics(np.array(answers), np.array([3.0, 3.0]))
    assert metrics["r2"] == r2 == reference.r2_score([3, 3], answers) and np.isfinite(metrics["loss"])


def test_a_copy_under_another_number_is_told(tmp_path):
    images(tmp_path, [f"{i}.png" for i in range(30)])
    Image.new("RGB", (8, 8), (0, 40, 90)).save(tmp_path / "copy.png")
    dataset = load(write(tmp_path / "t.csv", [*((f"{i}.png", str(i)) for i in range(30)), ("copy.png", "7")]))
    assert any("the same picture under two labels" in note and "(7)" in note for note in dataset.notes)


def test_a_head_of_numbers_is_linear():
    class Wrong:
        labels, activation = "number", "softmax"

    assert "must be \"linear\". Received: 'softmax'" in unfit(Wrong)


def test_a_runs_splits_are_read_again_as_they_were(run, table):
    again = load(run.folder / "splits.csv")
    written = {row["path"]: float(row["label"]) for row in read(table)}
    for name, stream in again.streams.items():
        assert [written[Path(file).name] for file in stream.files] == stream.labels.tolist(), name
    counts = {name: len(stream) for name, stream in again.streams.items()}
    assert counts == {name: run.metrics["images"][name] for name in ("train", "val", "test")}
