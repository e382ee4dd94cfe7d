"""Golden vectors: a few pictures with the probabilities that the artifact gave, and digests of all that must not change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COUNT = 8
FOLDER, FILE = "golden", "golden.json"
# Other machines round otherwise: float kernels in the last digits, integer ones by a step or two of a few activations.
TOLERANCE = {False: 1e-3, True: 0.05}


def write(folder: Path, facts: dict[str, Any], pictures: np.ndarray, found: np.ndarray) -> None:
    """Write golden.json: pictures, what the artifact says of them, and the digests of every file in the folder.

    Args:
        facts: format, quantize, artifact, backbone and labelling.
        pictures: (n, size, size, 3) uint8.
        found: probabilities (n, classes).
    """
    (folder / FOLDER).mkdir()
    vectors = []
    for number, (picture, row) in enumerate(zip(pictures, found, strict=True)):
        name = f"{FOLDER}/{number}.png"
        Image.fromarray(picture).save(folder / name)
        vectors.append({"file": name, "probabilities": [float(value) for value in row]})
    tolerance = TOLERANCE[facts["quantize"] != "none"]
    facts = {**facts, "tolerance": tolerance, "sha256": digests(folder), "vectors": vectors}
    (folder / FILE).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def digests(folder: Path) -> dict[str, str]:
    """Path below the folder -> SHA-256, of every file there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while content := file.read(1 << 20):
            digest.update(content)
    return digest.hexdigest()


def read(folder: Path) -> dict[str, Any]:
    """golden.json."""
    return json.loads((folder / FILE).read_text(encoding="utf-8"))


def pictures(folder: Path, facts: dict[str, Any]) -> np.ndarray:
    """The pictures of the vectors, (n, size, size, 3) uint8."""
    return np.stack([np.asarray(Image.open(folder / each["file"])) for each in facts["vectors"]])
