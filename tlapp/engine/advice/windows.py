"""Windows of pictures as small vectors, by whose product it is told whether two show the same."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

SIDE, COARSE = 48, 16
"""Pixels a side of the thumbnails by which near-copies are told, and of those for pictures of fewer pixels than that: what a
smaller copy of such a picture has lost is not in them."""
Window = tuple[float, float, float]
"""Where a window of a picture begins, from the left and from the top, and how long it is: shares of a side."""
WHOLE = (0.0, 0.0, 1.0)
CROPS = (0.025, 0.05, 0.075, 0.1)
"""What of a side may have been cut off."""
WINDOWS = [(left, top, 1 - cut) for cut in CROPS for left, top in ((cut / 2, cut / 2), (0, 0), (cut, 0), (0, cut), (cut, cut))]
AT_ONCE = 128
"""Pictures that are in memory with their colours, or of which all windows are."""


class Thumbnails(NamedTuple):
    """Windows of pictures as vectors of mean 0 and length 1, (n, windows, size) each."""

    fine: np.ndarray
    coarse: np.ndarray


class Plain:
    """Whole pictures as thumbnails, in little memory.

    Attributes:
        coarse: (n, size), as of `Thumbnails`.
    """

    def __init__(self, pictures: Any):
        count = len(pictures)
        some = [np.arange(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE)]
        self._fine = np.concatenate([_resized(pictures[places], [WHOLE]) for places in some])
        self.coarse = np.concatenate([self.of(places).coarse[:, 0] for places in some])

    def of(self, rows: Any) -> Thumbnails:
        """Thumbnails of some of them, one window each."""
        return _vectors(self._fine[rows])


def thumbnails(grey: np.ndarray, windows: Sequence[Window]) -> Thumbnails:
    """Windows of pictures, (n, side, side)."""
    return _vectors(_resized(grey, windows))


def _resized(grey: np.ndarray, windows: Sequence[Window]) -> np.ndarray:
    """Windows of pictures as fine thumbnails, (n, windows, side, side) uint8."""
    from PIL import Image

    side = grey.shape[1]
    boxes = [(left * side, top * side, (left + share) * side, (top + share) * side) for left, top, share in windows]
    fine = np.empty((len(grey), len(boxes), SIDE, SIDE), np.uint8)
    for row, each in enumerate(grey):
        picture = Image.fromarray(each)
        for number, box in enumerate(boxes):
            fine[row, number] = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box))
    return fine


def _vectors(pictures: np.ndarray) -> Thumbnails:
    fine, shrink = pictures.astype(np.float32), _shrink()
    return Thumbnails(_unit(fine), _unit(shrink @ fine @ shrink.T))


def _unit(pictures: np.ndarray) -> np.ndarray:
    flat = pictures.reshape(*pictures.shape[:2], -1)
    flat = flat - flat.mean(2, keepdims=True)
    return flat / np.linalg.norm(flat, axis=2, keepdims=True).clip(1e-6)


@functools.cache
def _shrink() -> np.ndarray:
    """What makes a side of a fine thumbnail coarse, (coarse, fine): the weights fall with the distance, as Pillow's do."""
    step = SIDE / COARSE
    away = np.abs((np.arange(COARSE)[:, None] + 0.5) * step - (np.arange(SIDE) + 0.5)) / step
    weights = np.maximum(1 - away, 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
