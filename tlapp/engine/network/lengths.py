"""Examples of different lengths, padded with zeros to one length: how long each is, and which can be computed together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

MULTIPLE = 16
"""Lengths are rounded up to a multiple of it, so that an example's activations do not depend on its neighbours."""


def is_variable(tensors: Sequence[Any]) -> bool:
    """Whether symbolic tensors, of shapes without the batch, take examples of any length."""
    return any(None in tensor.shape[1:] for tensor in tensors)


def lengths(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """How many positions of each example, (n,), are not zeros at its end, in arrays (n, positions, ...); at least one."""
    longest = np.ones(len(arrays[0]), int)
    for array in arrays:
        filled = (array != 0).reshape(*array.shape[:2], -1).any(2)
        last = array.shape[1] - filled[:, ::-1].argmax(1)
        longest = np.maximum(longest, np.where(filled.any(1), last, 1))
    return longest


def alike(arrays: Sequence[np.ndarray], most: int) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Rows, at most so many, of about the same length, and their arrays without the padding that none of them needs.

    The shortest come first.
    """
    whole = arrays[0].shape[1]
    rounded = np.minimum(whole, -(-lengths(arrays) // MULTIPLE) * MULTIPLE)
    for length in np.unique(rounded):
        rows = np.flatnonzero(rounded == length)
        for start in range(0, len(rows), most):
            part = rows[start : start + most]
            yield part, [array[part, :length] for array in arrays]


def padded(array: np.ndarray, shape: Sequence[int | None], whole: int) -> np.ndarray:
    """An array with zeros at the end of each side that may have any length, so that it is `whole` there."""
    sides = [(0, whole - own) if side is None else (0, 0) for side, own in zip(shape, array.shape[1:], strict=True)]
    return np.pad(array, [(0, 0), *sides]) if any(after for _, after in sides) else array
