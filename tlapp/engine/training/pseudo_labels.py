"""Labels that a strategy gives the target from what the model says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Labeller
from tlapp.engine.network.net import PhaseNet
from tlapp.engine.runs.checkpoint import Pack
from tlapp.engine.training.session import Session, Slot
from tlapp.errors import PluginError

Labels = tuple[np.ndarray, np.ndarray]
"""Labels (n, classes), rows summing to 1, and weights (n,)."""


def pseudo_labels(labeller: Labeller | None, session: Session, slot: Slot, net: PhaseNet) -> Labels | None:
    """The target's labels as a phase begins: made once, and the same where the run is resumed. None where nothing labels it.

    Raises:
        PluginError: the labeller gave something else.
    """
    if labeller is None:
        return None
    owner = _Labels()
    if not session.checkpoint.join("labels", owner):
        features, probabilities = session.streams.describe(net, slot.cut)
        labels = labeller(features, probabilities)
        if fault := fault_of(labels, probabilities.shape):
            raise PluginError(f"phase {slot.phase.name}: its labeller {fault}")
        owner.arrays = labels
    return owner.arrays[0], owner.arrays[1]


def fault_of(labels: Any, shape: tuple[int, ...]) -> str:
    """What is wrong with what a labeller gave for probabilities of this shape, in words; "" where nothing is."""
    arrays = [np.asarray(each) for each in labels] if isinstance(labels, tuple) else []
    wanted = [shape, shape[:1]]
    if [each.shape for each in arrays] != wanted:
        received = [each.shape for each in arrays] or type(labels).__name__
        return f"must return labels and weights, a tuple of arrays {wanted[0]} and {wanted[1]}. Received: {received}"
    if not all(np.isfinite(each).all() for each in arrays) or arrays[1].min() < 0 or not arrays[1].any():
        return "must return finite labels, and weights of at least 0 that are not all 0"
    return ""


class _Labels:
    """The owner of the labels."""

    def __init__(self) -> None:
        self.arrays: Sequence[np.ndarray] = ()

    def pack(self) -> Pack:
        return Pack({}, list(map(np.asarray, self.arrays)))

    def unpack(self, pack: Pack) -> None:
        self.arrays = pack.arrays
