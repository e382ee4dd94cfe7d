"""Choose the augmentation that makes pictures look like the target's, to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tlapp.contracts import Augment, Phase
from tlapp.engine.data.streams import Stream
from tlapp.engine.inputs.augment import basic
from tlapp.engine.inputs.examples import Examples
from tlapp.engine.network.augmented import Augmented
from tlapp.engine.network.front import Front
from tlapp.engine.options import RunOptions
from tlapp.engine.training.kind import augments_of
from tlapp.engine.training.kinds import kind_of
from tlapp.engine.training.order import Place

SAMPLE = 96
"""Pictures of each side that are compared."""


def candidates(phase: Phase, options: RunOptions) -> tuple[Augment, ...]:
    """The augmentations that a phase may have: its own, those that it has to choose from, or what the option augment asks for."""
    if own := augments_of(phase):
        return phase.augments or own
    return (basic(),) if options.augment == "basic" and kind_of(phase).trains else ()


def restyled(phase: Phase) -> str:
    """The stream of a phase whose pictures are to look like the target's: the first that is not the target itself."""
    return next((name for name in phase.streams if name != "target"), phase.streams[0])


class Styles:
    """How near to the target the augmentations bring pictures that phases may choose among; equal ones are measured once.

    Args:
        graph: functional model, pictures to features.
        streams: by name, "target" among them.
    """

    def __init__(self, graph: Any, streams: Mapping[str, Stream]):
        self._graph, self._streams = graph, streams
        self._known: dict[tuple[str, ...], list[float]] = {}

    def distances(self, phase: Phase) -> list[float]:
        """Of the pictures as they are, then by each augmentation that the phase has to choose from."""
        name = restyled(phase)
        key = (name, *(augment.name for augment in phase.augments))
        if key not in self._known:
            ways = (Augment(same), *phase.augments)
            self._known[key] = distances(ways, self._graph, self._streams[name], self._streams["target"])
        return self._known[key]


def augmented(place: Place, styles: Styles, options: RunOptions, note: Callable[[str], None]) -> Place:
    """A phase with the one augmentation that it is to have; a choice among several is noted."""
    phase = place.phase
    if not phase.augments:
        augments = candidates(phase, options)
        return place._replace(phase=replace(phase, augment=augments[0])) if augments else place
    plain, *distances = styles.distances(phase)
    nearest = int(np.argmin(distances))
    note(
        f"phase {phase.name}: {phase.augments[nearest].name} brings the pictures nearest to the target's, "
        f"{distances[nearest]:.3g} from them; as they are {plain:.3g}"
    )
    return place._replace(phase=replace(phase, augment=phase.augments[nearest]))


def same(pictures: Any, seed: int) -> Any:
    """Pictures as they are, as an augmentation."""
    return pictures


def distances(augments: Sequence[Augment], graph: Any, source: Stream, target: Stream) -> list[float]:
    """How far the source's pictures, augmented, lie from the target's as `graph` sees them, by `distance`."""
    front = Front(graph, graph.outputs)
    ours, theirs = (Examples(stream.examples.tables, _some(stream.examples.numbers)) for stream in (source, target))
    wanted = front(theirs.take(np.arange(len(theirs.numbers))))[0]
    rows = np.arange(len(ours.numbers))
    results = []
    for augment in augments:
        changed = Augmented(ours, augment, 0, graph.inputs, theirs if augment.reference else None)
        results.append(distance(front(changed.take(rows, 0))[0], wanted))
    return results


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of features (n, size), (m, size), each taken as normal and uncorrelated.

    |mean a - mean b|^2 + |std a - std b|^2 (Dowson & Landau 1982).
    """
    return float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.square(a.std(axis=0) - b.std(axis=0)).sum())


def _some(rows: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(rows)[:SAMPLE]
