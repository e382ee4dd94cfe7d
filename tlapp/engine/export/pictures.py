"""The run's own pictures: of its test to judge an artifact, of its validation to choose one, of its training to calibrate."""

from __future__ import annotations

import csv
from collections.abc import Sequence

import numpy as np

from tlapp.engine.data import reading, streams
from tlapp.engine.data.streams import Stream
from tlapp.engine.data.tables import Item
from tlapp.engine.options import RunOptions
from tlapp.engine.report import Reporter
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError


class Pictures:
    """Streams of a run by their names, and a stratified sample of the pictures that it was trained on.

    Args:
        names: of the streams: "test", and "val" where there is a choice to make.
        where: as the option data of train, if the pictures have moved; None for where the run found them.
        calibration: how many to take of those that it was trained on.

    Raises:
        UserError: they are not there any more.
    """

    def __init__(self, run: SavedRun, where: str | None, names: Sequence[str], calibration: int, reporter: Reporter):
        found = _moved(run, where, reporter) if where else _recorded(run, names, calibration, reporter)
        self.streams = {name: found[name] for name in names}
        train = found["train"]
        self.calibration = (
            train.examples.take(spread(run.labelling.groups(_labels(train)), calibration))[0] if calibration else None
        )


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` row numbers, a picture of each of the labels, (n,), in turn, drawn with a fixed seed."""
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
    dataset = streams.load(options, run.input, reporter.progress, run.labelling)
    if dataset.classes != run.labels:
        raise UserError(
            f"expected the classes {', '.join(run.labels)}. Received: {', '.join(dataset.classes)}", where, option="data"
        )
    return dict(dataset.streams)


def _recorded(run: SavedRun, names: Sequence[str], calibration: int, reporter: Reporter) -> dict[str, Stream]:
    """The run's streams as splits.csv lists them; of "train" no more than will be needed."""
    listed = _listed(run, names)
    train = listed["train"]
    labels = run.labelling.numbers([item.label for item in train], run.labels)
    chosen = spread(run.labelling.groups(labels), calibration)
    listed["train"] = [train[i] for i in chosen]
    try:
        found = reading.read(listed, run.input, "fail", reporter.progress)
    except UserError as error:
        raise UserError(f"the run's pictures are needed for the check: {error}; if they have moved, set option data") from error
    return {name: streams.stream(name, each, found.tables, run.labels, run.labelling) for name, each in found.examples.items()}


def _listed(run: SavedRun, names: Sequence[str]) -> dict[str, list[Item]]:
    path = run.folder / "splits.csv"
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] in ("train", *names)]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; it says which pictures the artifact is checked on") from error
    listed: dict[str, list[Item]] = {"train": [], **{name: [] for name in names}}
    for row in rows:
        listed[row["split"]].append(Item(row["path"], row["path"], row["label"]))
    return listed
