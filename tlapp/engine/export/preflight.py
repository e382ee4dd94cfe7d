"""Before training: does the model that a run is to deploy convert? Untrained weights show that as well as trained ones."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tlapp.contracts.input_export import InputExport
from tlapp.engine.export.formats import named
from tlapp.engine.export.formats.format import Material, Unfit, Way
from tlapp.engine.export.metadata import Facts
from tlapp.engine.runs.folder import LABELS, label_lines
from tlapp.errors import UserError
from tlapp.tensorflow_import import silenced


def check_converts(model: Any, kind: str, labels: Sequence[str], what: str, takes: InputExport, labelling: str = "one") -> None:
    """Convert a model and throw the artifact away; takes some seconds.

    Args:
        kind: the format.
        what: the model in words, for the error.
        takes: the model's input.
        labelling: "one", "many" or "number", the labels of an example.

    Raises:
        UserError: it does not convert; names the operation.
    """
    format = named(kind)
    try:
        with tempfile.TemporaryDirectory() as folder:
            write(model, kind, labels, Path(folder), takes, labelling=labelling)
    except Unfit as error:
        instead = f"it does to {format.instead}, and trains all the same (option exports={format.instead}, or none)"
        raise UserError(f"{what} does not convert: {error.reason}; {instead}", kind, option="exports") from error
    except UserError as error:
        raise UserError(f"{what}: {error}; it trains all the same (option exports=none)", kind, option="exports") from error


def write(model: Any, kind: str, labels: Sequence[str], folder: Path, takes: InputExport, **more: Any) -> Path:
    """Write a model to a folder in one format, without a check; return the artifact's path.

    Args:
        more: `way` and `calibration`, where it is quantised.

    Raises:
        UserError: it does not convert.
    """
    (folder / LABELS).write_bytes(label_lines(labels).encode())
    facts = Facts(folder.name, "", "1", "", "", labels)
    way = more.pop("way", Way("none"))
    with silenced():
        return folder / named(kind).write(Material(model, takes, labels, folder, facts, **more), way)["artifact"]
