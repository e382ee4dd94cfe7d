"""What artifacts are held against: pictures, their labels, and what the Keras model says of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tlapp.engine.data.streams import Stream
from tlapp.engine.export.check import Truth
from tlapp.engine.runs.saved import BATCH, SavedRun

FILES = 100
"""Picture files that a SavedModel's endpoint for files is tried on."""
FILE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


class Standard(NamedTuple):
    """The pictures of a stream, (n, size, size, 3) uint8 on disk, up to `FILES` of their files, and the truth about both."""

    pictures: np.ndarray
    files: list[str]
    truth: Truth


def standard(run: SavedRun, stream: Stream, folder: Path, served: int = 0) -> Standard:
    """Write the pictures of a stream into `folder` and ask the Keras model; `served`: how many files to take as well."""
    labels = stream.labels
    assert labels is not None, "train, val and test always have labels"
    pictures = _written(stream, folder / f"{stream.name}.npy")
    rows = [i for i, file in enumerate(stream.files) if file.lower().endswith(FILE_SUFFIXES)][:served]
    found = np.concatenate([run.probabilities(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)])
    truth = Truth(found, labels, run.labels, found[rows] if rows else None, stream.name, run.labelling)
    return Standard(pictures, [stream.files[i] for i in rows], truth)


def _written(stream: Stream, path: Path) -> np.ndarray:
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(stream), *stream.examples.tables[0].shape)}
    with open(path, "wb") as file:  # written, not mapped: storing to a map of a full disk ends the process
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(stream), 64):
            file.write(stream.examples.take(np.arange(start, min(start + 64, len(stream))))[0].data)
    return np.load(path, mmap_mode="r")
