"""The file by which a run answers without TensorFlow, made once and checked against the Keras model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts import BadExample
from tlapp.engine.export import card, golden
from tlapp.engine.export.check import Truth, check
from tlapp.engine.export.export import aside, is_disk, size_of
from tlapp.engine.export.formats.artifact import Answers, Latency
from tlapp.engine.export.formats.format import Material, Way
from tlapp.engine.export.formats.tflite import FORMAT
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.reference import spread
from tlapp.engine.network.lengths import is_variable
from tlapp.engine.runs.folder import FAST, LABELS, label_lines
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError
from tlapp.tensorflow_import import silenced
from tlapp.words import in_a_line, without_folders

REASON = "reason.json"
"""Why a model has no such file, in its place."""
ROOM = 4
"""Times the bytes of the model that must be free on its disk: for the SavedModel, the file, and what is never filled."""


def keep(run: SavedRun, sources: Sequence[str]) -> Path | None:
    """Make the file of a run; its folder, or None where it cannot be made.

    Args:
        sources: of examples to check it on, where those of the run cannot be read.
    """
    folder = run.files.file(FAST)
    try:
        if _was_tried(run, folder) or _is_hopeless(run) or not (examples := _examples(run, sources)):
            return None
        with aside(folder) as new:
            reason = _tried(run, examples, new)
            if run.digests_now() != run.digests:  # the run was taught meanwhile
                return None
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(new, folder)
    except (OSError, UserError):  # the folder cannot be written, or another process was faster
        return None
    return None if reason else folder


def _is_hopeless(run: SavedRun) -> bool:
    """Whether it would be of no use, or could not be written."""
    if is_variable(run.model.inputs) or not os.access(run.folder, os.W_OK):
        return True
    return shutil.disk_usage(run.folder).free < ROOM * run.model_file.stat().st_size


def _attempt(run: SavedRun) -> dict[str, Any]:
    return {golden.MADE_OF: run.digests, "tlapp": version("tlapp")}


def _was_tried(run: SavedRun, folder: Path) -> bool:
    try:
        known = json.loads((folder / REASON).read_text(encoding="utf-8"))
        return bool({**known, **_attempt(run)} == known)
    except (OSError, ValueError, TypeError):
        return False


def _tried(run: SavedRun, examples: Sequence[tuple[Any, ...]], folder: Path) -> str:
    """Write the file into an empty folder, or why there is none; that reason, or ""."""
    try:
        reason = _written(run, examples, folder)
    except Exception as error:  # Keras, the converter and LiteRT raise whatever they like for a model that does not convert
        if is_disk(error):
            raise OSError("the disk is full") from error
        reason = in_a_line(error)
    if reason:
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / REASON).write_text(json.dumps({**_attempt(run), "reason": reason}, indent=1), encoding="utf-8")
    return reason


def _written(run: SavedRun, examples: Sequence[tuple[Any, ...]], folder: Path) -> str:
    takes, kind = run.input.export, run.labelling.kind
    arrays = {name: np.stack(parts) for name, parts in zip(takes.names, zip(*examples, strict=True), strict=True)}
    for name, content in {LABELS: label_lines(run.labels).encode(), **takes.files()}.items():
        (folder / name).write_bytes(content)
    words = card.facts(run, ExportOptions.model_validate({"format": FORMAT.name}))
    with silenced():
        written = FORMAT.write(Material(run.judging, takes, run.labels, folder, words, kind), Way("none"))
        path = folder / written["artifact"]
        probabilities, known = FORMAT.opened(path)(arrays)
    expected, sure = run.outputs([*arrays.values()])
    truth = Truth(
        expected, run.labelling.decide(expected), run.labels, labelling=run.labelling, noun=takes.noun, known=sure
    )  # fmt: skip
    answers = Answers(probabilities, run.labels, Latency(0.0, 0, 0), known=known)
    if fault := check(truth, answers, size_of(path), quantised=False, max_drop=0.0).fault:
        return fault
    facts = {
        "format": FORMAT.name, "quantize": "none", "artifact": written["artifact"],
        "backbone": without_folders(run.settings["backbone"]), "labelling": kind, "says_unknown": run.says_unknown,
        golden.MADE_OF: run.digests,
    }  # fmt: skip
    golden.write(folder, facts, takes, arrays, probabilities, run.labelling.unit(expected), known=known)
    return ""


def _examples(run: SavedRun, sources: Sequence[str]) -> list[tuple[Any, ...]]:
    """The arrays of some examples to check on: of the run's own test where they can be read, and of `sources` else."""
    return [*islice(_read(run, [*_own(run), *sources[: golden.COUNT]]), golden.COUNT)]


def _read(run: SavedRun, sources: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for source in sources:
        (arrays,) = run.input.read_all([source])
        if not isinstance(arrays, BadExample):
            yield arrays


def _own(run: SavedRun) -> list[str]:
    """A few of the run's own examples, of all its labels in turn."""
    try:
        rows = run.files.splits(run.input.column)
    except UserError:
        return []
    own = [row for row in rows if row["split"] == "test"] or [row for row in rows if row["split"] in ("val", "train")]
    try:
        labels = run.labelling.numbers([row["label"] for row in own], run.labels)
    except (KeyError, ValueError):  # somebody edited the table
        return []
    return [own[i][run.input.column] for i in spread(run.labelling.groups(labels), golden.COUNT)] if own else []
