"""Each format's writer: the deployed model to a file or folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.export import metadata
from tlapp.engine.export.formats import savedmodel, tflite
from tlapp.engine.export.options import Way
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError


class Ingredients(NamedTuple):
    """What a writer may need.

    Attributes:
        calibration: pictures (n, size, size, 3) uint8.
        facts: words for the metadata.
        selective: "int8" or "dynamic" -> the network of which some layers can stay in float.
    """

    run: SavedRun
    model: Any
    folder: Path
    calibration: np.ndarray | None
    facts: metadata.Facts
    selective: Callable[[str], Any]


def write(kind: str, way: Way, given: Ingredients) -> dict[str, Any]:
    """Write an artifact; return {"artifact": its name in the folder} and what else export.json is to say.

    Raises:
        UserError: the model does not convert, or a package is missing.
    """
    return WRITERS[kind](way, given)


def _saved_model(way: Way, given: Ingredients) -> dict[str, Any]:
    return {"artifact": savedmodel.write(given.model, given.run.labels, given.folder, given.run.labelling.kind)}


def _tflite(way: Way, given: Ingredients) -> dict[str, Any]:
    if way.keep:
        selective = given.selective(way.quantize)
        content = selective.convert(way.keep)
        kept = [layer._asdict() for layer in selective.kept(way.keep)]
    else:
        content, kept = tflite.convert(given.model, way.quantize, given.calibration), []
    (given.folder / tflite.FILE).write_bytes(metadata.add(content, given.facts))
    return {"artifact": tflite.FILE, "kept_float": kept}


def _keras(way: Way, given: Ingredients) -> dict[str, Any]:
    name = "model.keras"
    (given.folder / name).write_bytes((given.run.folder / name).read_bytes())
    return {"artifact": name}


def _onnx(way: Way, given: Ingredients) -> dict[str, Any]:
    name = "model.onnx"
    try:
        given.model.export(str(given.folder / name), format="onnx", verbose=False)
    except ImportError as error:
        raise UserError("option format=onnx: needs more packages: pip install 'tlapp[onnx]'") from error
    return {"artifact": name}


WRITERS: dict[str, Callable[[Way, Ingredients], dict[str, Any]]] = {
    "savedmodel": _saved_model,
    "tflite": _tflite,
    "keras": _keras,
    "onnx": _onnx,
}
