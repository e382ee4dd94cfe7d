"""The outline of a run: what each phase trains, where its cut is, what is remembered. Shown, and kept as plan.json."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tlapp.contracts import Fit, LoadedBackbone, Phase
from tlapp.engine.network.activations import Remembered, row_bytes
from tlapp.engine.network.cut import Cut


class PhaseOutline(NamedTuple):
    """One phase in words and numbers.

    Attributes:
        stages: those that train, with their rates.
        trains: parameters that train, without the head.
        cut: shapes of the activations that cross it, without the batch; empty where the network is not cut.
        front: "cached", "computed each epoch", or "none".
        cached_mb: size of what is cached, for all pictures.
    """

    name: str
    kind: str
    epochs: int | None
    learning_rate: float | None
    streams: tuple[str, ...]
    augment: str | None
    stages: dict[str, float]
    trains: int
    cut: tuple[tuple[int, ...], ...]
    front: str
    cached_mb: float


class Outline(NamedTuple):
    """The whole run; `labelling` is "one" or "many", the labels of an example; `input` the kind of input, such as "image"."""

    strategy: str
    backbone: str
    weights: str
    licence: str
    head: str
    image_size: int | None
    classes: tuple[str, ...]
    images: dict[str, int]
    stages: int
    params: int
    phases: tuple[PhaseOutline, ...]
    labelling: str = "one"
    input: str = "image"

    def to_json(self) -> dict[str, Any]:
        """As plan.json holds it."""
        return {**self._asdict(), "phases": [phase._asdict() for phase in self.phases]}


def learning(phase: Phase, backbone: LoadedBackbone, params: dict[str, int]) -> dict[str, int]:
    """Parameters of each stage that may train: all, or those that `only` chooses."""
    if not isinstance(phase, Fit) or phase.only is None:
        return params
    counts = dict.fromkeys(params, 0)
    for layer in backbone.graph.layers:
        chosen = [v for v in layer.trainable_variables if phase.only(v.path)]
        if layer.name in backbone.stage_of:
            counts[backbone.stage_of[layer.name]] += sum(math.prod(v.shape) for v in chosen)
    return counts


def phase_outline(phase: Phase, cut: Cut, params: dict[str, int], remembered: Remembered) -> PhaseOutline:
    """The outline of a phase; `params` of each stage."""
    fit = phase if isinstance(phase, Fit) else None
    copies = (phase.augment.views or 0) if phase.augment else 1
    kept = copies > 0 and remembered.fits(cut, copies)
    shapes = () if cut.at_input else tuple(tuple(int(side or 0) for side in t.shape[1:]) for t in cut.boundary)
    stages = {name: rate for name, rate in phase.rates.items() if rate > 0}
    size = sum(row_bytes(tensor) for tensor in cut.boundary) * remembered.count * copies
    return PhaseOutline(
        phase.name,
        type(phase).__name__.lower(),
        fit.epochs if fit else None,
        fit.learning_rate if fit else None,
        phase.streams,
        phase.augment.name if phase.augment else None,
        stages,
        sum(params[name] for name in stages),
        shapes,
        "none" if cut.at_input else "cached" if kept else "computed each epoch",
        round(size / 2**20, 1) if kept else 0.0,
    )
