"""Golden vectors: a few examples with the probabilities that the artifact gave, and digests of all that must not change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts.input_export import Arrays, InputExport
from tlapp.engine.data.files import sha256
from tlapp.engine.export.facts import AGAIN, Golden, checked
from tlapp.engine.inputs import read_vector
from tlapp.engine.runs.folder import LABELS, read_labels
from tlapp.errors import UserError

COUNT = 8
FOLDER, FILE = "golden", "golden.json"
# Other machines round otherwise: float kernels in the last digits, integer ones by a step or two of a few activations.
TOLERANCE = {False: 1e-3, True: 0.05}
MADE_OF = "made_of"
"""Name -> SHA-256 of each file of the run that an artifact was made of; of one that passed its check."""
CONTRACT = ("format", "quantize", "artifact", "backbone", "labelling", "says_unknown", MADE_OF)
"""What golden.json says of an artifact in the words of export.json."""
IMAGE = ("image",)
"""The input names of exports that do not say them: those from before inputs other than pictures."""


def write(
    folder: Path, facts: Mapping[str, Any], input: InputExport, examples: Arrays, probabilities: np.ndarray, unit: float = 1.0,
    contents: Sequence[bytes] = (), known: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Write golden.json: examples, what the artifact says of them, and the digests of every file in the folder.

    Args:
        facts: format, quantize, artifact, backbone, labelling, and, of what passed its check, the digests of what it was made of.
        probabilities: (n, classes).
        unit: how large a difference between them counts as 1.
        known: the output of that name, (n, 1), of an artifact that has it.
        contents: of the examples, for an input whose vectors are files of them.
    """
    (folder / FOLDER).mkdir()
    vectors = []
    for number, row in enumerate(probabilities):
        stem = folder / FOLDER / str(number)
        arrays = [examples[name][number] for name in input.names]
        path = input.save_content(contents[number], stem) if contents else input.save(arrays, stem)
        said = {} if known is None else {"known": float(known[number, 0])}
        vectors.append({"file": path.relative_to(folder).as_posix(), "probabilities": [float(value) for value in row], **said})
    tolerance = unit * TOLERANCE[facts["quantize"] != "none"]
    whole = {**facts, "input": input.facts(), "tolerance": tolerance, "sha256": digests(folder), "vectors": vectors}
    (folder / FILE).write_text(json.dumps(whole, indent=1), encoding="utf-8")


def digests(folder: Path) -> dict[str, str]:
    """Path below the folder -> SHA-256, of every file there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def folder_of(path: Path) -> Path | None:
    """The exported folder that a path means: it, or what it lies in; None where it is no export."""
    return next((folder for folder in (path, path.parent) if (folder / FILE).is_file()), None) if path.exists() else None


def read(folder: Path) -> dict[str, Any]:
    """golden.json.

    Raises:
        UserError: it was altered, so that it no longer says what is needed; or it names a file outside the folder.
    """
    try:
        text = (folder / FILE).read_bytes()
    except OSError as error:
        raise UserError(f"{folder / FILE}: cannot be read: {error.strerror}") from error
    facts = checked(text, Golden, folder / FILE)
    must_lie_in(folder, [*facts["sha256"], facts["artifact"], *(each["file"] for each in facts["vectors"])], folder / FILE)
    return facts


def must_lie_in(folder: Path, names: Iterable[str], file: Path) -> None:
    """Check that what a file names lies in a folder.

    Raises:
        UserError: one does not.
    """
    for name in names:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{file}: names {name}, which lies outside the folder")


def check_files(folder: Path, expected: Mapping[str, str]) -> None:
    """Check that files have the digests that are expected.

    Raises:
        UserError: one is missing, or has another.
    """
    for name, digest in expected.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder}: {name} is missing")
        if sha256(folder / name) != digest:
            raise UserError(f"{folder / name}: was changed since it was exported (its SHA-256 is another)")


def labels(folder: Path) -> tuple[str, ...]:
    """The class names beside golden.json.

    Raises:
        UserError: they cannot be read.
    """
    try:
        return read_labels(folder / LABELS)
    except OSError as error:
        raise UserError(f"{folder / LABELS}: cannot be read: {error.strerror}; {AGAIN}") from error
    except ValueError as error:
        raise UserError(f"{folder / LABELS}: is not UTF-8 text; {AGAIN}") from error


def examples(folder: Path, facts: Mapping[str, Any]) -> Arrays:
    """The examples of the vectors, by the names of the model's inputs."""
    names = facts.get("input", {}).get("names", IMAGE)
    rows = [_vector(folder, each["file"], facts, names) for each in facts["vectors"]]
    return {name: np.stack(arrays) for name, arrays in zip(names, zip(*rows, strict=True), strict=True)}


def _vector(folder: Path, file: str, facts: Mapping[str, Any], names: Any) -> tuple[np.ndarray, ...]:
    if file.endswith(".npz"):
        with np.load(folder / file, allow_pickle=False) as arrays:
            return tuple(arrays[name] for name in names)
    return read_vector(folder / file, facts.get("input") or {}, lambda name: (folder / name).read_bytes())
