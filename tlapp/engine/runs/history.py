"""The epochs of a run, and what they say of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np


class Epoch(NamedTuple):
    """A line of history.

    Attributes:
        epoch: from 1; 0 is how a phase that the target selects begins.
        terms: the loss's, averaged.
        validation: {"loss", "accuracy"} or empty.
        best: whether the weights are the best so far.
        target: what can be said of the target without its labels, or empty.
        said: the class of each target picture, (n,) int16; None where it was not looked at.
    """

    phase: str
    epoch: int
    terms: Mapping[str, float]
    validation: Mapping[str, float]
    best: bool
    target: Mapping[str, float] = MappingProxyType({})
    said: np.ndarray | None = None
