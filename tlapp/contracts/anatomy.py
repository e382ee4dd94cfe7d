"""Stages of a backbone, read off its graph: where one tensor crosses and the channels change. Knows no network by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from tlapp.contracts import Stage
from tlapp.contracts.graph import Step, steps

MOST = 20
"""More stages than this help nobody: a network that widens at each layer, such as DenseNet, is grouped by size instead."""

EVEN = 8
"""A network with one width throughout, such as a transformer, is split into so many stretches of equal length."""


class Stretch(NamedTuple):
    """Consecutive steps, and the shape (without the batch) of the newest tensor that crosses after them."""

    steps: tuple[Step, ...]
    shape: tuple[int | None, ...]

    @property
    def learns(self) -> bool:
        """Whether it has kernels to train; scales and shifts alone, as normalization has, do not make a stage."""
        return any(map(_learns, self.steps))

    @property
    def places(self) -> int:
        """How many positions its output has."""
        return prod(n or 1 for n in self.shape[:-1])


def anatomy(graph: Any) -> tuple[tuple[Stage, ...], dict[str, str]]:
    """The stages of a flat functional model, input to output, and operation name -> stage name.

    Every operation gets a stage, those before the first kernel the first one, and those after the last kernel the last one.
    """
    stretches = _stretches(graph)
    names = _names(len(stretches))
    stages, stage_of = [], {operation.name: names[0] for operation in graph.operations}
    seen: set[str] = set()
    for name, stretch in zip(names, stretches, strict=True):
        layers = {step.operation.name: step.operation for step in stretch.steps if step.operation.name not in seen}
        seen.update(layers)
        stage_of.update(dict.fromkeys(layers, name))
        weighted = {key: layer for key, layer in layers.items() if getattr(layer, "weights", ())}
        stages.append(Stage(name, sum(layer.count_params() for layer in weighted.values()), stretch.shape, tuple(weighted)))
    return tuple(stages), stage_of


def _names(count: int) -> list[str]:
    return ["all"] if count == 1 else ["stem", *(f"stage{i}" for i in range(2, count)), "top"]


def _stretches(graph: Any) -> list[Stretch]:
    """The graph's stretches, one a stage."""
    todo = steps(graph)
    pieces = _pieces(todo, graph.outputs, crossing=1)
    if _lumped(pieces):
        pairs = _pieces(todo, graph.outputs, crossing=2)  # each cell of NASNet reads the two before it
        return _group(pieces, _channels) if _lumped(pairs) else _group(pairs, _places)
    stretches = _group(pieces, _channels)
    if len(stretches) > MOST:
        stretches = _group(pieces, _places)
    return stretches if len(stretches) > 2 else _even(pieces) or stretches


def _pieces(todo: Sequence[Step], outputs: Sequence[Any], crossing: int) -> list[Stretch]:
    """Cut the steps wherever at most `crossing` tensors cross."""
    last_use = {id(tensor): i for i, step in enumerate(todo) for tensor in step.inputs}
    last_use.update((id(tensor), len(todo)) for tensor in outputs)
    made = {id(tensor) for step in todo for tensor in step.outputs}
    alive = last_use.keys() - made
    pieces, since = [], 0
    for i, step in enumerate(todo):
        alive = {tensor for tensor in (*alive, *map(id, step.outputs)) if last_use.get(tensor, -1) > i}
        if len(alive) <= crossing:
            pieces.append(Stretch(tuple(todo[since : i + 1]), tuple(step.outputs[0].shape[1:])))
            since = i + 1
    return pieces


def _lumped(pieces: Sequence[Stretch]) -> bool:
    """Whether one piece holds most of a network's layers: no cut of this kind goes through its body."""
    counts = [sum(map(_learns, piece.steps)) for piece in pieces]
    return max(counts) > max(20, sum(counts) / 2)


def _group(pieces: Sequence[Stretch], key: Callable[[Stretch], Any]) -> list[Stretch]:
    """Join neighbours of one key that nothing pools between; each group ends where the fewest numbers cross."""
    groups: list[list[Stretch]] = [[]]
    last = None
    for piece in pieces:
        if piece.learns:
            if last and (key(piece) != key(last) or groups[-1][-1].places < last.places):
                groups.append(_after_narrowest(groups[-1]))
            last = piece
        groups[-1].append(piece)
    return _join_wide([_join(group) for group in groups])


def _after_narrowest(group: list[Stretch]) -> list[Stretch]:
    """Take from a group's end, and return, what only widens its output again, such as padding."""
    end = len(group)
    start = max(i for i in range(end) if group[i].learns)
    narrowest = min(range(start, end), key=lambda i: (prod(n or 1 for n in group[i].shape), -i))
    rest = group[narrowest + 1 :]
    del group[narrowest + 1 :]
    return rest


def _join_wide(groups: Sequence[Stretch]) -> list[Stretch]:
    """Join a stretch to a narrower one after it: it was the inside of a block, such as an inverted bottleneck."""
    joined: list[Stretch] = []
    for group in reversed(groups):
        if joined and (group.shape[-1] or 0) > (joined[0].shape[-1] or 0):
            joined[0] = _join([group, joined[0]])
        else:
            joined.insert(0, group)
    return joined


def _even(pieces: Sequence[Stretch]) -> list[Stretch]:
    """Stretches with equally many of the pieces that learn; none if there are too few pieces to tell apart."""
    total = sum(piece.learns for piece in pieces)
    groups: list[list[Stretch]] = [[] for _ in range(EVEN)]
    learnt = 0
    for piece in pieces:
        learnt += piece.learns
        groups[max(learnt - 1, 0) * EVEN // max(total, 1)].append(piece)
    return [_join(group) for group in groups] if total >= EVEN else []


def _join(stretches: Sequence[Stretch]) -> Stretch:
    return Stretch(tuple(step for each in stretches for step in each.steps), stretches[-1].shape)


def _learns(step: Step) -> bool:
    return any(len(weight.shape) > 1 for weight in getattr(step.operation, "trainable_variables", ()))


def _channels(piece: Stretch) -> Any:
    return piece.shape[-1]


def _places(piece: Stretch) -> Any:
    return piece.shape[:-1]
