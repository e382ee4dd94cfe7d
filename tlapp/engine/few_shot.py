"""A run for other classes, by a few examples of each and by what a finished run remembers of its own; nothing trains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts import Augment, FewShot, Task
from tlapp.engine.data import folders
from tlapp.engine.data.measuring import load_labelled
from tlapp.engine.data.streams import Stream
from tlapp.engine.inputs.views import MOST, framed, mean_of_views
from tlapp.engine.job import Job
from tlapp.engine.network.deploy import answering, deployed, trunk_of
from tlapp.engine.report import Reporter
from tlapp.engine.runs.record import Record
from tlapp.engine.runs.saved import SavedRun
from tlapp.engine.teach import features_of, memory_of, solver_of
from tlapp.errors import UserError
from tlapp.words import natural_sort


def adapt(run: SavedRun, job: Job, support: str, query: str | None, folder: Path, reporter: Reporter, views: int = MOST) -> None:
    """Write the folder of a run that knows the classes of `support`; what is in `query` is its test.

    Args:
        views: of each picture of `support`, whose mean features are learnt, from 1 to 3.

    Raises:
        UserError: the run remembers nothing, an example cannot be read, there is one class only, or the folder is taken.
    """
    if folder.exists():
        raise UserError("already exists; remove it, or name another", folder, option="output")
    memory, trunk = memory_of(run), trunk_of(run.model)
    items = folders.labelled("support", support, run.input, run.labelling.cells).items
    labels = tuple(natural_sort({item.label for item in items if item.label is not None}))
    if len(labels) < 2:
        raise UserError(
            f"expected {run.input.noun}s of at least two classes. Received: {', '.join(labels) or 'none'}", support, "support"
        )
    solver = solver_of(job, Task(labels, run.metrics["images"]))
    if not isinstance(solver, FewShot):
        raise UserError(f"{run.folder}: the solver of its head does not learn other classes from a few examples")
    learnt = _stream(run, "support", support, labels, reporter)
    judged = _stream(run, "query", query, labels, reporter) if query else None
    layer = solver.few(memory)(_features(trunk, learnt, framed(views, run.input)), _numbers(learnt), len(labels))
    answers, test = answering("softmax", run.labelling.output), None
    if judged:
        outputs = np.asarray(answers(layer(_features(trunk, judged))))
        test = run.labelling.metrics(outputs, _numbers(judged), labels)
    names = [tensor.name for tensor in run.input.tensors]
    rows = [*_rows(learnt, labels, "train"), *(_rows(judged, labels, "test") if judged else ())]
    record = Record(str(folder), "")
    try:
        paths = {"data": os.path.abspath(support), **({"test": os.path.abspath(query)} if query else {})}
        settings = {**run.settings, **paths, "unknown": None}
        record.begin(settings, {**run.files.plan(), "classes": labels}, labels, rows, run.input.column)
        record.model(deployed(trunk, layer, answers, names))
        images = {"train": len(learnt), **({"test": len(judged)} if judged else {})}
        record.finish({"val": None, "test": test, "images": images, "adapted_from": str(run.folder.absolute())})
    finally:
        record.release()


def _stream(run: SavedRun, option: str, path: str, labels: tuple[str, ...], reporter: Reporter) -> Stream:
    stream, notes = load_labelled(
        option, path, labels, run.input, "fail", reporter.progress, run.labelling, _every(run, option, path)
    )  # fmt: skip
    for note in notes:
        reporter.note(note)
    return stream


def _every(run: SavedRun, option: str, path: str) -> str | None:
    """The part to take: all of data that are divided into train, val and test; None of others."""
    items = folders.labelled(option, path, run.input, run.labelling.cells).items
    return "all" if any(item.split in ("train", "val", "test") for item in items) else None


def _features(trunk: Any, stream: Stream, views: Augment | None = None) -> np.ndarray:
    arrays = stream.examples.take(np.arange(len(stream)))
    if views is None:
        return features_of(trunk, arrays)
    return mean_of_views(
        lambda view: features_of(trunk, [np.asarray(views.apply(part, 0, copy=view)) for part in arrays]), views.views or 1
    )


def _numbers(stream: Stream) -> np.ndarray:
    assert stream.labels is not None, "load_labelled gives labels"
    return stream.labels


def _rows(stream: Stream, labels: tuple[str, ...], split: str) -> list[tuple[str, str, str]]:
    return [(os.path.abspath(file), labels[n], split) for file, n in zip(stream.files, _numbers(stream), strict=True)]
