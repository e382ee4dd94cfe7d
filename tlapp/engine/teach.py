"""More classes and examples for a finished run, without the examples that it was trained on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import OnDevice, Task, Teachable, TeachableOnDevice
from tlapp.engine.check import make_plan
from tlapp.engine.data.files import absolute
from tlapp.engine.data.naming import named
from tlapp.engine.export.reference import load
from tlapp.engine.inputs import ahead
from tlapp.engine.job import Job
from tlapp.engine.network.deploy import answers_of, head_of, trunk_of
from tlapp.engine.report import Reporter
from tlapp.engine.runs import folder as names
from tlapp.engine.runs.predictor import BATCH
from tlapp.engine.runs.saved import SavedRun
from tlapp.engine.training.order import in_order
from tlapp.engine.training.solve import Memory, remembered
from tlapp.errors import UserError
from tlapp.words import printable

CHANGED = (names.MODEL, names.LABELS, names.METRICS, names.MEMORY, names.SPLITS)
EAGER = 4
"""Blocks of examples that are computed without a graph."""
SAME = 1e-5
"""How far the head's weights may be from what the memory makes, over the largest: they are float32."""


class Taught(NamedTuple):
    """What a run was taught: its accuracy on its own test before and after, None where those examples cannot be read."""

    name: str
    examples: int
    labels: tuple[str, ...]
    before: float | None = None
    after: float | None = None


def teach(run: SavedRun, job: Job, name: str, files: Sequence[str], reporter: Reporter) -> Taught:
    """Add examples of a class, a new one or one of its own, to a finished run: only its head changes, by what it remembers.

    Raises:
        UserError: the run remembers nothing, or an example cannot be read or is one of the run's.
    """
    memory = memory_of(run)
    _refuse_unknown(run)
    if not name.strip() or name != printable(name):
        raise UserError(f"a class needs a name in one line. Received: {name!r}")
    labels = run.labels if name in run.labels else (*run.labels, name)
    solver = solver_of(job, Task(labels, run.metrics["images"]))
    if not _same(head_of(run.model).get_weights(), solver.layer(memory).get_weights()):
        raise UserError(f"{run.folder}: its head is not the one that {names.MEMORY} makes, so that it was changed since")
    sources, arrays = _read(run, files)
    trunk = trunk_of(run.model)
    learnt = features_of(trunk, arrays)
    memory = remembered(solver.learn(memory, learnt, np.full(len(learnt), labels.index(name)), len(labels)))
    layer = solver.layer(memory)
    taught, metrics = Taught(name, len(learnt), labels), {**run.metrics, "val": None, "test": None}
    if judged := _test(run, trunk, reporter):
        features, truth = judged
        old, new = (run.labelling.metrics(np.asarray(head(features)), truth, known)
                    for head, known in ((head_of(run.model), run.labels), (layer, labels)))  # fmt: skip
        taught, metrics["test"] = taught._replace(before=old["accuracy"], after=new["accuracy"]), new
    metrics["taught"] = [*metrics.get("taught", ()), {"label": name, "examples": len(learnt)}]
    rows = [(row[run.input.column], row["label"], row["split"]) for row in run.files.splits(run.input.column)]
    rows += [(source, name, "train") for source in sources]
    try:
        _keep_what_was(run)
        _write(run, layer, memory, labels, metrics, rows)
    except OSError as error:
        raise UserError(f"{run.folder}: cannot be written, and is as it was: {error.strerror or error}") from error
    if run.files.has(names.REPORT):
        run.files.file(names.REPORT).unlink()
        reporter.note(f"{names.REPORT} showed the run as it was, and is removed; tlapp report {run.folder} writes a new one")
    if run.files.file(names.EXPORTS).is_dir():
        reporter.note(f"{run.files.file(names.EXPORTS)}: what was exported before is as it was; export again")
    return taught


def undo(run: SavedRun) -> int:
    """Put back what a run was before it was last taught; return how many lessons are left.

    Raises:
        UserError: it was taught nothing.
    """
    lessons = _lessons(run)
    if not lessons:
        raise UserError(f"{run.folder}: was taught nothing that could be undone")
    run.files.file(names.REPORT).unlink(missing_ok=True)
    for path in sorted(lessons[-1].iterdir()):
        path.replace(run.files.file(path.name))
    lessons[-1].rmdir()
    if len(lessons) == 1:
        lessons[-1].parent.rmdir()
    return len(lessons) - 1


def memory_of(run: SavedRun) -> Memory:
    """What the solver of a run's head remembers of its examples.

    Raises:
        UserError: nothing; says why.
    """
    if run.files.has(names.MEMORY):
        return run.files.arrays()
    trained = [phase["name"] for phase in run.files.plan().get("phases", ()) if phase["kind"] == "fit"]
    why = f"phase {trained[-1]} trained it by gradients" if trained else "its classifier keeps no sums"
    raise UserError(
        f"{run.folder}: cannot be taught without its examples: {why}. Train with option plugin=feature-extract and option "
        f"classifier=lda, whose head is made of sums over the examples, which the run keeps ({names.MEMORY})"
    )


def solver_of(job: Job, task: Task) -> Teachable:
    """The solver of the last phase of the plan for a task.

    Raises:
        UserError: it cannot be taught.
    """
    options = job.options
    facts = job.provider.facts(job.backbone, options.image_size)
    if facts is None:
        facts = job.provider.load(job.backbone, image_size=options.image_size, weights=options.backbone_weights).facts
    solver = getattr(in_order(make_plan(job.strategy, task, facts))[-1].phase, "solver", None)
    if not isinstance(solver, Teachable):
        raise UserError(f"the strategy {options.plugin} has no solver now that can be taught")
    return solver


def learner(run: SavedRun, job: Job, room: int) -> OnDevice:
    """The head of a run as a phone teaches it, with room for so many classes more.

    Raises:
        UserError: the run remembers nothing, or its solver cannot learn there.
    """
    _refuse_unknown(run)
    memory, solver = memory_of(run), solver_of(job, Task(run.labels, run.metrics["images"]))
    if not isinstance(solver, TeachableOnDevice):
        raise UserError(f"{run.folder}: the solver of its head cannot go on learning in a TFLite file")
    return solver.on_device(memory, room)


def _refuse_unknown(run: SavedRun) -> None:
    """Raise a UserError for a run that says "unknown": it would say so of every new class."""
    if run.says_unknown:
        raise UserError(f"{run.folder}: knows its own classes only; to teach it others, train it without option unknown")


def _same(weights: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    """Whether two layers have the same weights, but for rounding."""
    if [each.shape for each in weights] != [each.shape for each in others]:
        return False
    return all(np.abs(a - b).max() <= SAME * np.abs(b).max() for a, b in zip(weights, others, strict=True))


def _read(run: SavedRun, files: Sequence[str]) -> tuple[list[str], list[np.ndarray]]:
    """The examples that are named, and their arrays.

    Raises:
        UserError: one cannot be read, or is one of the run's already.
    """
    asked = named(files, run.input)
    known = {row[run.input.column]: row["split"] for row in run.files.splits(run.input.column)}
    sources = [absolute(source, run.input) for source in asked.sources]
    for source, path in zip(asked.sources, sources, strict=True):
        if source in asked.bad:
            raise UserError(f"{source}: {asked.bad[source]}")
        if path in known:
            raise UserError(f"{source}: is one of the run's {run.input.noun}s already, in {known[path]}")
    sources, parts = [*dict.fromkeys(sources)], []  # a file and its folder may both be named
    for part in ahead.parts(run.input, sources):
        for source, reason in part.bad.items():
            raise UserError(f"{source}: {reason}")
        parts.append(part.arrays)
    return sources, [np.concatenate(each) for each in zip(*parts, strict=True)]


def features_of(trunk: Any, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Features (n, size) of examples. A few are computed at once: to build a graph would take longer than they do."""
    blocks = range(0, len(arrays[0]), BATCH)
    ask, dtypes = trunk if len(blocks) <= EAGER else trunk.predict_on_batch, [tensor.dtype for tensor in trunk.inputs]

    def features(start: int) -> np.ndarray:
        return np.asarray(ask([part[start : start + BATCH].astype(dtype) for part, dtype in zip(arrays, dtypes, strict=True)]))

    return np.concatenate([features(start) for start in blocks])


def _test(run: SavedRun, trunk: Any, reporter: Reporter) -> tuple[np.ndarray, np.ndarray] | None:
    """Features and labels of the run's own test; None, with a note, where it kept none and its examples cannot be read."""
    if run.files.has(names.TESTED):
        kept = run.files.arrays(names.TESTED)
        return kept["features"], kept["labels"]
    try:
        stream = load(run, None, ("test",), 0, reporter).streams["test"]
    except UserError as error:
        reporter.note(f"what this does to the other classes is not measured: {error}")
        return None
    assert stream.labels is not None, "test always has labels"
    return features_of(trunk, stream.examples.take(np.arange(len(stream)))), stream.labels


def _lessons(run: SavedRun) -> list[Path]:
    """The folders of what the run was before each lesson, in order."""
    folder = run.files.file(names.TAUGHT)
    lessons = [each for each in folder.iterdir() if each.name.isdecimal()] if folder.is_dir() else []
    return sorted(lessons, key=lambda each: int(each.name))


def _keep_what_was(run: SavedRun) -> None:
    """Copy the files that teaching changes: whole, before the first of them changes."""
    lessons = _lessons(run)
    folder = run.files.file(names.TAUGHT) / str(int(lessons[-1].name) + 1 if lessons else 1)
    unready = folder.with_name(f".{folder.name}")
    shutil.rmtree(unready, ignore_errors=True)
    try:
        unready.mkdir(parents=True)
        for name in (*CHANGED, *([names.REPORT] if run.files.has(names.REPORT) else [])):
            shutil.copyfile(run.files.file(name), unready / name)
        unready.replace(folder)
    except BaseException:
        shutil.rmtree(unready, ignore_errors=True)
        raise


def _write(
    run: SavedRun, layer: Any, memory: Memory, labels: Sequence[str], metrics: Mapping[str, Any], rows: Sequence[Sequence[str]]
) -> None:
    """Write the model with another head, and what goes with it; where that fails, all is put back."""
    import keras

    model, files = run.model, run.files
    answers = answers_of(model)(layer(head_of(model).input))
    try:
        files.write_model(keras.Model(model.inputs, answers))
        files.write_labels(labels)
        files.write_arrays(memory)
        files.write_splits(rows, run.input.column)
        files.write_metrics(metrics)
    except BaseException:
        undo(run)
        raise
