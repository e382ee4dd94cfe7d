"""What one stream gives a phase: activations, soft labels, weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tlapp.engine.data.labelling import Labelling
from tlapp.engine.network.activations import Source
from tlapp.engine.options import RunOptions


class Feed(NamedTuple):
    """One stream at the cut: labels float (n, classes) or None, weights float (n,); a step sees each example `versions` times."""

    source: Source
    size: int
    labels: np.ndarray | None
    weights: np.ndarray
    versions: int = 1


def unlabelled(source: Source, size: int) -> Feed:
    """A stream without labels."""
    return Feed(source, size, None, np.ones(size, np.float32))


def labelled(source: Source, labels: np.ndarray, classes: int, options: RunOptions, labelling: Labelling) -> Feed:
    """A stream with labels as its dataset holds them: smoothed, and weighted where the classes differ much."""
    soft = labelling.soft(labels, classes, options.label_smoothing)
    weights = labelling.weights(labels, classes) if options.class_weights == "auto" else np.ones(len(labels))
    return Feed(source, len(labels), soft, weights.astype(np.float32))
