"""What artifacts are compared with: examples of the run, their labels, and what the Keras model says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tlapp.contracts.input_export import Arrays
from tlapp.engine.data import reading, streams
from tlapp.engine.data.streams import Stream
from tlapp.engine.data.tables import Item
from tlapp.engine.export.check import Truth
from tlapp.engine.export.formats.format import joined
from tlapp.engine.inputs.rows import Use
from tlapp.engine.inputs.shards.files import member_of
from tlapp.engine.inputs.shards.places import read
from tlapp.engine.options import RunOptions
from tlapp.engine.report import Reporter
from tlapp.engine.runs.predictor import BATCH
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError

FILES = 100
"""Files that an endpoint which takes files is tried on."""


class Reference(NamedTuple):
    """The examples of a stream, on disk, some of their files, the truth about both, and where each example is from."""

    examples: Arrays
    files: list[str]
    truth: Truth
    sources: Sequence[str] = ()


@dataclass(frozen=True)
class Examples:
    """Streams of a run by their names, and a stratified sample of the examples that it was trained on."""

    streams: Mapping[str, Stream]
    calibration: Arrays | None


def load(run: SavedRun, data: str | None, names: Sequence[str], calibration: int, reporter: Reporter) -> Examples:
    """The examples that an export needs: of its test to judge an artifact, of its validation to choose one, of its training to
    calibrate.

    Args:
        data: as the option data of train, if they have moved; None for where the run read them.
        names: of the streams: "test", and "val" where there is a choice to make; without any there, the test alone judges.
        calibration: how many to take of those that it was trained on.

    Raises:
        UserError: they are not there any more, or there is no test.
    """
    every = _moved(run, data, reporter) if data else _recorded(run, names, calibration, reporter)
    train = every["train"]
    rows = spread(run.labelling.groups(_labels(train)), calibration) if calibration else None
    if "test" in names and not len(every["test"]):
        raise UserError(f"{run.folder}: has no test {run.input.export.noun}s that an export could be checked on")
    judged = {name: every[name] for name in names if len(every[name])}
    return Examples(judged, None if rows is None else arrays(run, train, rows))


def reference(run: SavedRun, stream: Stream, folder: Path, count: int = 0) -> Reference:
    """Write the examples of a stream into `folder` and ask the Keras model; `count`: how many files to take as well.

    Of examples whose content an endpoint takes all are taken, each as a file of its content.
    """
    examples, takes = _written(run, stream, folder), run.input.export
    if count and takes.contents:
        stem = f"{stream.name}-content-"
        saved = (takes.save_content(_content(run, each), folder / f"{stem}{i}") for i, each in enumerate(stream.files))
        files = [*map(str, saved)]
        rows = list(range(len(files)))
    else:
        able = takes.file_suffixes
        rows = [i for i, file in enumerate(stream.files) if file.lower().endswith(able)][:count] if able else []
        files = [_file(run, stream.files[i], folder / f"{stream.name}-file-{i}") for i in rows]
    blocks = ([examples[name][i : i + BATCH] for name in examples] for i in range(0, len(stream), BATCH))
    probabilities, known = joined([run.outputs(block) for block in blocks])
    truth = Truth(
        probabilities, _labels(stream), run.labels, probabilities[rows] if rows else None, stream.name, run.labelling, takes.noun,
        takes.files_agree, known,
    )  # fmt: skip
    return Reference(examples, files, truth, stream.files)


def contents(run: SavedRun, sources: Sequence[str]) -> list[bytes]:
    """The contents of examples, whether in a file or not."""
    return [_content(run, source) for source in sources]


def _content(run: SavedRun, source: str) -> bytes:
    content = run.input.content(source)
    return read(source) if content is None else content


def _file(run: SavedRun, source: str, path: Path) -> str:
    """A file that holds what a source does: the source itself, unless it lies in a shard."""
    if member_of(source) is None:
        return source
    path = path.with_suffix(Path(source).suffix)
    path.write_bytes(_content(run, source))
    return str(path)


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` row numbers, one of each of the labels, (n,), in turn, drawn with a fixed seed."""
    turn, generator = np.zeros(len(labels), np.int64), np.random.default_rng(0)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        turn[generator.permutation(rows)] = np.arange(len(rows))
    return np.lexsort((labels, turn))[:count]


def arrays(run: SavedRun, stream: Stream, rows: np.ndarray) -> Arrays:
    """Examples of a stream, by the names of the model's inputs."""
    return dict(zip(run.input.export.names, stream.examples.take(rows), strict=True))


def _written(run: SavedRun, stream: Stream, folder: Path) -> Arrays:
    """The examples of a stream as maps of files, which do not fill the memory."""
    paths = {name: folder / f"{stream.name}-{number}.npy" for number, name in enumerate(run.input.export.names)}
    for number, path in enumerate(paths.values()):
        one = stream.examples.take(np.arange(1))[number]
        header = {
            "descr": np.lib.format.dtype_to_descr(one.dtype),
            "fortran_order": False,
            "shape": (len(stream), *one.shape[1:]),
        }
        with open(path, "wb") as file:  # written, not mapped: storing to a map of a full disk ends the process
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(stream), 64):
                block = stream.examples.take(np.arange(start, min(start + 64, len(stream))))[number]
                file.write(np.ascontiguousarray(block).data)
    return {name: np.load(path, mmap_mode="r") for name, path in paths.items()}


def _labels(stream: Stream) -> np.ndarray:
    assert stream.labels is not None, "train, val and test always have labels"
    return stream.labels


def _moved(run: SavedRun, data: str, reporter: Reporter) -> dict[str, Stream]:
    """The run's streams from another place: its settings repeat its split there."""
    known = {key: value for key, value in run.settings.items() if key in RunOptions.model_fields}
    options = RunOptions(**{**known, "data": data, **dict.fromkeys(("target", "aux", "support", "query"))})
    dataset = streams.load(options, run.input, reporter.progress, run.labelling, Use(keep=False))
    if dataset.classes != run.labels:
        raise UserError(
            f"expected the classes {', '.join(run.labels)}. Received: {', '.join(dataset.classes)}", data, option="data"
        )
    return dict(dataset.streams)


def _recorded(run: SavedRun, names: Sequence[str], calibration: int, reporter: Reporter) -> dict[str, Stream]:
    """The run's streams as its file of splits lists them; of "train" no more than will be needed."""
    listed = _listed(run, names)
    train = listed["train"]
    labels = run.labelling.numbers([item.label for item in train], run.labels)
    chosen = spread(run.labelling.groups(labels), calibration)
    listed["train"] = [train[i] for i in chosen]
    try:
        result = reading.read(listed, run.input, "fail", reporter.progress, use=Use(keep=False))
    except UserError as error:
        raise UserError(
            f"the run's {run.input.export.noun}s are needed for the check: {error}; if they have moved, set option data"
        ) from error
    return {name: streams.stream(name, each, result.tables, run.labels, run.labelling) for name, each in result.examples.items()}


def _listed(run: SavedRun, names: Sequence[str]) -> dict[str, list[Item]]:
    try:
        rows = [row for row in run.files.splits(run.input.column) if row["split"] in ("train", *names)]
    except UserError as error:
        raise UserError(f"{error}; it says what the artifact is checked on") from error
    listed: dict[str, list[Item]] = {"train": [], **{name: [] for name in names}}
    for row in rows:
        source = row[run.input.column]
        listed[row["split"]].append(Item(source, source, row["label"]))
    return listed
