"""Pictures seen several times, so that less depends on how each was framed: as it is, a little nearer, a little farther."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tlapp.contracts import Augment, Input
from tlapp.engine.inputs.images import Images

MARGIN = 0.08
"""Share of a side that is cut off, or added, on each side (docs/results.md, "Few-shot")."""
MOST = 3


def framed(views: int, examples: Input) -> Augment | None:
    """So many views of each picture; None where that is one, or the examples are no pictures."""
    return Augment(frame, views, f"framed {MARGIN:g}") if views > 1 and isinstance(examples, Images) else None


def frame(pictures: Any, seed: int, copy: int) -> Any:
    """Of pictures (n, size, size, 3): copy 0 as they are, 1 nearer, 2 farther, with the picture mirrored at its edges."""
    import keras

    size = int(pictures.shape[1])
    margin = max(1, round(MARGIN * size))
    pictures = keras.ops.cast(pictures, "float32")
    if copy == 0:
        return pictures
    if copy == 1:
        changed = pictures[:, margin : size - margin, margin : size - margin]
    else:
        changed = keras.ops.pad(pictures, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    return keras.ops.image.resize(changed, (size, size), interpolation="bilinear")


def mean_of_views(take: Callable[[int], np.ndarray], views: int) -> np.ndarray:
    """The mean of features (n, d), of which `take` gives those of each view by its number."""
    return np.mean([take(view) for view in range(views)], axis=0)
