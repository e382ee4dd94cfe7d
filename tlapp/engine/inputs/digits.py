"""The built-in set: scikit-learn's handwritten digits, which need no files."""

from __future__ import annotations

import functools

import numpy as np

BUILTIN = "builtin:digits"


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's handwritten digits: pictures (1797, 8, 8) uint8 and labels (1797,)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target


def digit(source: str) -> np.ndarray:
    """The picture (8, 8) uint8 of a source that `listed` names."""
    return digits()[0][int(source.rpartition("/")[2])]


def listed() -> list[tuple[str, str, str]]:
    """(source, name, label) of each digit."""
    return [(f"{BUILTIN}/{i:04d}", f"{i:04d}", str(label)) for i, label in enumerate(digits()[1].tolist())]
