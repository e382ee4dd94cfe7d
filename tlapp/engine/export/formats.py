"""Each format's writer: the deployed model to a file or folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.export import metadata, saved_model, tflite
from tlapp.engine.saved import SavedRun
from tlapp.errors import UserError


class Ingredients(NamedTuple):
    """What a writer may need: where from, where to, pictures (n, size, size, 3) uint8 to calibrate on, words for the metadata."""

    run: SavedRun
    model: Any
    folder: Path
    calibration: np.ndarray | None
    facts: metadata.Facts


def write(kind: str, quantize: str, given: Ingredients) -> dict[str, Any]:
    """Write an artifact; return {"artifact": its name in the folder} and what else export.json is to say.

    Raises:
        UserError: the model does not convert, or a package is missing.
    """
    return WRITERS[kind](quantize, given)


def _saved_model(quantize: str, given: Ingredients) -> dict[str, Any]:
    return {"artifact": saved_model.write(given.model, given.run.labels, given.folder)}


def _tflite(quantize: str, given: Ingredients) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    content = tflite.convert(given.model, quantize, given.calibration)
    (given.folder / tflite.FILE).write_bytes(metadata.add(content, given.facts))
    return {"artifact": tflite.FILE, **extra}


def _keras(quantize: str, given: Ingredients) -> dict[str, Any]:
    name = "model.keras"
    (given.folder / name).write_bytes((given.run.folder / name).read_bytes())
    return {"artifact": name}


def _onnx(quantize: str, given: Ingredients) -> dict[str, Any]:
    name = "model.onnx"
    try:
        given.model.export(str(given.folder / name), format="onnx", verbose=False)
    except ImportError as error:
        raise UserError("--format onnx: needs two packages more: pip install tf2onnx onnxruntime") from error
    return {"artifact": name}


WRITERS: dict[str, Callable[[str, Ingredients], dict[str, Any]]] = {
    "savedmodel": _saved_model,
    "tflite": _tflite,
    "keras": _keras,
    "onnx": _onnx,
}
