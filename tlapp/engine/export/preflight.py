"""Before training: does the model that a run is to deploy convert? Untrained weights show that as well as trained ones."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tlapp.engine.export import metadata
from tlapp.engine.export.formats import savedmodel, tflite
from tlapp.errors import UserError


def check_converts(model: Any, kind: str, labels: Sequence[str], what: str) -> None:
    """Convert a model and throw the artifact away; takes some seconds.

    Args:
        kind: "tflite" or "savedmodel".
        what: the model in words, for the error.

    Raises:
        UserError: it does not convert; names the operation.
    """
    try:
        if kind == "tflite":
            tflite.convert(model, "none", None)
        else:
            _saved_model(model, labels)
    except tflite.Unfit as error:
        raise UserError(
            f"{what} does not convert: {error.reason}; it does to savedmodel, and trains all the same "
            "(option exports=savedmodel, or none)",
            kind,
            "exports",
        ) from error
    except UserError as error:
        raise UserError(f"{what}: {error}; it trains all the same (option exports=none)", kind, "exports") from error


def _saved_model(model: Any, labels: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / metadata.LABELS).write_bytes(metadata.lines(labels))
        savedmodel.write(model, labels, Path(folder))
