"""Choose the augmentation that makes pictures look like the target's, to the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Augment, Phase
from tlapp.engine.cache import Augmented, Pixels
from tlapp.engine.front import Front

SAMPLE = 96
"""Pictures of each side that are compared."""


def restyled(phase: Phase) -> str:
    """The stream of a phase whose pictures are to look like the target's: the first that is not the target itself."""
    return next((name for name in phase.streams if name != "target"), phase.streams[0])


def choose(augments: Sequence[Augment], graph: Any, source: Any, target: Any) -> Augment:
    """The one whose pictures' features lie nearest to those of the target's; arguments as of `distances`."""
    return augments[int(np.argmin(distances(augments, graph, source, target)))]


def distances(augments: Sequence[Augment], graph: Any, source: Any, target: Any) -> list[float]:
    """How far the pictures' features then lie from those of the target's, by `distance`.

    Args:
        graph: functional model, pictures to features.
        source, target: streams.
    """
    front = Front(graph, graph.outputs)
    ours, theirs = (Pixels(stream.pixels.rows, _some(stream.pixels.numbers)) for stream in (source, target))
    wanted = front(theirs.take(np.arange(len(theirs.rows)), 0)[0])[0]
    rows = np.arange(len(ours.rows))
    found = []
    for augment in augments:
        changed = Augmented(ours, augment, 0, theirs if augment.reference else None)
        found.append(distance(front(changed.take(rows, 0)[0])[0], wanted))
    return found


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of features (n, size), (m, size), each taken as normal and uncorrelated.

    |mean a - mean b|^2 + |std a - std b|^2 (Dowson & Landau 1982).
    """
    return float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.square(a.std(axis=0) - b.std(axis=0)).sum())


def _some(rows: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(rows)[:SAMPLE]
