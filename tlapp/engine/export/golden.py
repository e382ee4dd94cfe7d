"""Golden vectors: a few pictures with the probabilities that the artifact gave, and digests of all that must not change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tlapp.engine.export.pictures import spread

COUNT = 8
FOLDER, FILE = "golden", "golden.json"
# Other machines round otherwise: float kernels in the last digits, integer ones by a step or two of a few activations.
TOLERANCE = {False: 1e-3, True: 0.05}


def write(
    folder: Path, kind: str, quantize: str, artifact: str, labels: np.ndarray, pictures: np.ndarray, found: np.ndarray
) -> None:
    """Write eight of the test pictures and what the artifact says of them; and the digests of every file in the folder."""
    (folder / FOLDER).mkdir()
    rows = np.sort(spread(labels, COUNT))
    vectors = []
    for number, row in enumerate(rows):
        name = f"{FOLDER}/{number}.png"
        Image.fromarray(pictures[row]).save(folder / name)
        vectors.append({"file": name, "probabilities": [float(value) for value in found[row]]})
    facts = {
        "format": kind, "quantize": quantize, "artifact": artifact, "tolerance": TOLERANCE[quantize != "none"],
        "sha256": digests(folder), "vectors": vectors,
    }  # fmt: skip
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
