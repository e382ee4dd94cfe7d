"""The run's own pictures: those it was tested on, to judge an artifact, and some it was trained on, to calibrate one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from tlapp.engine import data, reading
from tlapp.engine.data import Pixels, Stream
from tlapp.engine.options import RunOptions
from tlapp.engine.reading import Example
from tlapp.engine.report import Reporter
from tlapp.engine.saved import SavedRun
from tlapp.engine.tables import Item
from tlapp.errors import UserError


class Pictures:
    """The test pictures of a run, and a stratified sample of those that it was trained on.

    Args:
        where: as --data of train, if the pictures have moved; None for where the run found them.
        calibration: how many to take of those that it was trained on.

    Raises:
        UserError: they are not there any more.
    """

    def __init__(self, run: SavedRun, where: str | None, calibration: int, reporter: Reporter):
        found = _moved(run, where, reporter) if where else _recorded(run, calibration, reporter)
        self.test = found["test"]
        train = found["train"]
        self.calibration = train.pixels.take(spread(_labels(train), calibration)) if calibration else None

    def write_test(self, path: Path) -> np.ndarray:
        """The test pictures as an array on disk, (n, size, size, 3) uint8."""
        shape = (len(self.test), *self.test.pixels.rows.shape)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        with open(path, "wb") as file:  # written, not mapped: storing to a map of a full disk ends the process
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(self.test), 64):
                file.write(self.test.pixels.take(np.arange(start, min(start + 64, len(self.test)))).data)
        return np.load(path, mmap_mode="r")

    @property
    def labels(self) -> np.ndarray:
        """The test pictures' labels, (n,)."""
        return _labels(self.test)


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` row numbers, a picture of each class in turn, drawn with a fixed seed."""
    turn, dice = np.zeros(len(labels), np.int64), np.random.default_rng(0)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        turn[dice.permutation(rows)] = np.arange(len(rows))
    return np.lexsort((labels, turn))[:count]


def _labels(stream: Stream) -> np.ndarray:
    assert stream.labels is not None, "train and test always have labels"
    return stream.labels


def _moved(run: SavedRun, where: str, reporter: Reporter) -> dict[str, Stream]:
    """The run's streams from another place: its settings repeat its split there."""
    known = {key: value for key, value in run.settings.items() if key in RunOptions.model_fields}
    options = RunOptions(**{**known, "data": where, "target": None, "aux": None})
    dataset = data.load(options, run.image_size, reporter.progress)
    if dataset.classes != run.labels:
        raise UserError(f"--data {where}: expected the classes {', '.join(run.labels)}. Received: {', '.join(dataset.classes)}")
    return dict(dataset.streams)


def _recorded(run: SavedRun, calibration: int, reporter: Reporter) -> dict[str, Stream]:
    """The run's streams as splits.csv lists them; of "train" no more than will be needed."""
    listed = _listed(run)
    order = {label: number for number, label in enumerate(run.labels)}
    train = listed["train"]
    chosen = spread(np.array([order[item.label or ""] for item in train]), calibration)
    listed["train"] = [train[i] for i in chosen]
    try:
        found = reading.read(listed, run.image_size, "fail", reporter.progress)
    except UserError as error:
        raise UserError(f"the run's pictures are needed for the check: {error}; if they have moved, give --data") from error
    return {name: _stream(name, examples, found, order) for name, examples in found.examples.items()}


def _listed(run: SavedRun) -> dict[str, list[Item]]:
    path = run.folder / "splits.csv"
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] in ("train", "test")]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; it says which pictures the artifact is checked on") from error
    listed: dict[str, list[Item]] = {"test": [], "train": []}
    for row in rows:
        listed[row["split"]].append(Item(row["path"], row["path"], row["label"]))
    return listed


def _stream(name: str, examples: list[Example], found: reading.Reading, order: dict[str, int]) -> Stream:
    numbers = np.array([example.row for example in examples], np.int64)
    labels = np.array([order[example.item.label or ""] for example in examples], np.int32)
    files = tuple(example.item.path for example in examples)
    return Stream(name, files, labels, tuple(example.file for example in examples), Pixels(found.rows, numbers))
