"""The epochs of a run, and what they say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tlapp.engine.data import Stream


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


def adaptation(history: Sequence[Epoch], stream: Stream | None) -> dict[str, Any] | None:
    """What adapting did to the target, for metrics.json; None where no phase looked at it.

    `source_only` and `adapted` are the scores before the first such phase and of the weights that were kept; accuracies come in
    where the target's labels are known, and `oracle` is the best epoch that they would have chosen: nothing chose by them.
    """
    looked = [epoch for epoch in history if epoch.said is not None]
    if not looked or stream is None:
        return None

    def told(epoch: Epoch) -> dict[str, Any]:
        known = {} if stream.labels is None else {"accuracy": float(np.mean(epoch.said == stream.labels))}
        return {"phase": epoch.phase, "epoch": epoch.epoch, "score": epoch.target["score"], **known}

    lines = [told(epoch) for epoch in looked]
    kept = max(lines, key=lambda line: line["score"])
    result = {"helped": kept["score"] > lines[0]["score"], "source_only": lines[0], "adapted": kept}
    return result if stream.labels is None else {**result, "oracle": max(lines, key=lambda line: line["accuracy"])}
