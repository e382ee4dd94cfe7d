"""What is served: a TFLite file, for which TensorFlow is never imported, or whatever else a run or an export is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.api import load
from tlapp.engine.export import fast, golden
from tlapp.engine.export.exported import Exported
from tlapp.engine.export.fast import FastRun
from tlapp.engine.export.formats.format import Format
from tlapp.engine.export.formats.tflite import TFLite
from tlapp.engine.inputs import is_own, read_content
from tlapp.engine.runs.folder import EXPORTS, LABELS, RunFolder, read_labels
from tlapp.engine.runs.predictor import Predictor
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError
from tlapp.server.heat_maps import HeatMaps, behind

TOGETHER = 16
"""Examples that a runtime takes at a time which is slow to call; LiteRT takes one."""


@dataclass(frozen=True)
class Model:
    """An opened model.

    Attributes:
        place: the folder or file that is served.
        predictors: as many as compute at the same time.
        together: examples that one of them takes at a time.
        facts: what GET /v1/model says of it, but for heat maps.
        notes: sentences for whoever started the server.
        heat_maps: of the run behind it, or why there are none.
    """

    place: Path
    predictors: tuple[Predictor, ...]
    together: int
    facts: Mapping[str, Any]
    notes: tuple[str, ...]
    heat_maps: HeatMaps

    @property
    def first(self) -> Predictor:
        """Any of the predictors: they answer alike."""
        return self.predictors[0]


def opened(path: Path, workers: int, task: str | None = None, trust: bool = False) -> Model:
    """Open what a path names: a run, of which a TFLite export is taken where there is one, or an export.

    Args:
        workers: how many examples are to be computed at the same time.

    Raises:
        UserError: it is neither, did not finish, was altered since it was exported, or takes what no request can hold.
    """
    place, notes = _chosen(path)
    predictor = load(place, task=task, trust=trust)
    if isinstance(predictor, FastRun) and predictor.fast:
        place = predictor.fast.artifact.parent
        predictor = load(place, trust=trust)
        notes.append(f"{place} answers for the run")
    if not is_own(predictor.input):
        raise UserError(f"{path}: its model takes {predictor.input.noun}s, and serve is for pictures and texts")
    exported = isinstance(predictor, Exported)
    if exported and not predictor.check_files():
        notes.append(f"{place}: no {golden.FILE} lies beside it, so that nothing says whether it was altered")
    predictors = tuple(predictor.side_by_side(workers)) if exported else (predictor,)
    for each in predictors:
        _answer_once(each)
    facts = _facts(path, predictor)
    if facts["runtime"] == "tensorflow":
        better = "a TFLite export of its run" if exported else f"`tlapp export {path} --format tflite`"
        gain = "answer faster" if facts["input"]["kind"] == "text" else "start sooner and answer faster"
        notes.append(f"{place}: TensorFlow computes it; {better} makes it {gain}")
    elif facts["input"]["kind"] == "text":
        notes.append("texts are read by TensorFlow's operations, which take some seconds to load")
    together = 1 if facts["runtime"] == TFLite.runtime else TOGETHER
    return Model(place, predictors, together, facts, tuple(notes), behind(place, predictor, trust))


def _chosen(path: Path) -> tuple[Path, list[str]]:
    """The export of a run that answers without TensorFlow, or the path itself; and why others are not taken."""
    run, notes = RunFolder(path), []
    for export, facts in fast.exports(run):
        if fast.is_old(SavedRun(path), export, facts):
            notes.append(f"{export}: was exported before the run was taught, and so it is not served")
            continue
        golden.check_files(export, facts["sha256"])
        if read_labels(export / LABELS) != run.labels():
            notes.append(f"{export}: has other classes than the run, and so it is not served; to serve it, name it")
        else:
            return export, [*notes, f"{export} (quantize: {facts['quantize']}) answers for the run"]
    return path, notes


def _answer_once(predictor: Predictor) -> None:
    """Load it and what reads its examples, and see that it answers, before anybody waits for it."""
    if predictor.input.kind == "text":
        read_content(predictor.input, b"a text", 1)
    predictor.probabilities([np.zeros((1, *tensor.shape), tensor.dtype) for tensor in predictor.input.tensors])


def _facts(path: Path, predictor: Predictor) -> dict[str, Any]:
    format, quantize, runtime, given = "run", "none", Format.runtime, predictor.input.export.facts()
    if isinstance(predictor, Exported):
        format, runtime = predictor.format.name, predictor.format.runtime
        folder = golden.folder_of(predictor.artifact)
        quantize = golden.read(folder)["quantize"] if folder else "unknown"
    return {
        "name": _name(path),
        "format": format,
        "quantize": quantize,
        "runtime": runtime,
        "labels": list(predictor.labels),
        "labelling": predictor.labelling.kind,
        "input": {key: given[key] for key in ("kind", "noun", "size", "resize", "max_length") if key in given},
    }


def _name(path: Path) -> str:
    """What a model is called: its run, also where one of its exports is named."""
    whole = path.resolve()
    folder = whole if whole.is_dir() else whole.parent if (whole.parent / golden.FILE).is_file() else whole
    run = fast.run_of(folder)
    if run:
        return run.path.name
    return folder.parent.parent.name if folder.parent.name == EXPORTS else folder.stem
