"""Replay the golden vectors of an artifact, wherever it has got to: neither the run nor its pictures are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.export import golden
from tlapp.engine.export.check import names_wrongly
from tlapp.engine.export.formats.artifact import ask
from tlapp.engine.runs.saved import open_model
from tlapp.errors import UserError
from tlapp.untrusted_files import refuse, saved_model_fault


def verify(
    artifact: str | Path, layers: Callable[[str], Mapping[str, type]] | None = None, trust: bool = False
) -> dict[str, Any]:
    """Check that an exported folder, or a file in it, is as it was exported and answers as it did.

    Args:
        layers: a backbone's ID -> the layer classes that a Keras file of it needs beyond Keras's own, by name.
        trust: run it even if it holds what could run code or write files.

    Returns:
        format, pictures, largest_difference, tolerance and latency.

    Raises:
        UserError: it is not an export, a file of it was changed or is missing, it is dangerous, or it answers otherwise.
    """
    folder = _folder(Path(artifact))
    facts = golden.read(folder)
    _check_names(folder, facts)
    _check_files(folder, facts["sha256"])
    expected = np.array([each["probabilities"] for each in facts["vectors"]])
    names = [str(folder / each["file"]) for each in facts["vectors"]]
    path = folder / facts["artifact"]
    if not trust and facts["format"] == "savedmodel":
        refuse(saved_model_fault(path), path)

    def opened(path: Path) -> Any:
        return open_model(path, layers(facts["backbone"]) if layers and "backbone" in facts else None, trust)

    found = ask(facts["format"], path, golden.pictures(folder, facts), names, opened)
    if fault := names_wrongly(found, LABELLINGS[facts.get("labelling", "one")]):
        raise UserError(f"{artifact}: {fault}")
    largest = 0.0
    for way, answer in {"": found.probabilities, **found.others}.items():
        difference = np.abs(answer - expected).max(1)
        largest = max(largest, float(difference.max()))
        if not (difference <= facts["tolerance"]).all():
            wrong = facts["vectors"][int(difference.argmax())]["file"]
            what = f"endpoint {way}: " if way else ""
            raise UserError(
                f"{artifact}: {what}{wrong}: a probability differs by {difference.max():.4f} from what the artifact gave "
                f"when it was exported; at most {facts['tolerance']:g} is due to another machine"
            )
    return {
        "format": facts["format"], "quantize": facts["quantize"], "pictures": len(expected), "largest_difference": largest,
        "tolerance": facts["tolerance"], "latency": found.latency._asdict(),
    }  # fmt: skip


def _folder(path: Path) -> Path:
    """The exported folder that a path means: it, or what it lies in."""
    for folder in (path, path.parent):
        if (folder / golden.FILE).is_file():
            return folder
    raise UserError(f"{path}: is no export; a folder that `tlapp export` wrote holds {golden.FILE}")


def _check_names(folder: Path, facts: dict[str, Any]) -> None:
    for name in (*facts["sha256"], facts["artifact"], *(each["file"] for each in facts["vectors"])):
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{folder / golden.FILE}: names {name}, which lies outside the folder")


def _check_files(folder: Path, expected: dict[str, str]) -> None:
    for name, digest in expected.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder}: {name} is missing")
        if golden.sha256(folder / name) != digest:
            raise UserError(f"{folder / name}: was changed since it was exported (its SHA-256 is another)")
