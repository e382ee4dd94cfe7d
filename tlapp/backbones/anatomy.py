"""Stages of a backbone, read off its graph: where few tensors cross and the shape changes. Knows no model by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tlapp.contracts import Stage
from tlapp.contracts.graph import Step, steps

MOST = 20
"""More stages than this are no help to anyone: group by spatial size alone."""

EXPANSION = 1.5
"""A stretch whose output has so many times the channels of the next one's is the wide inside of a block, not a stage."""

BLOCKS = 8
"""A network of one shape throughout, such as a transformer, is split into so many stretches of equal length."""


class Stretch(NamedTuple):
    """Consecutive steps, and the shape (without the batch) of the newest tensor that crosses after them."""

    steps: tuple[Step, ...]
    shape: tuple[int | None, ...]

    @property
    def learns(self) -> bool:
        """Whether anything in it has weights to train."""
        return any(map(_learns, self.steps))


def anatomy(graph: Any) -> tuple[tuple[Stage, ...], dict[str, str]]:
    """The stages of a flat functional model, input to output, and operation name -> stage name.

    Every operation of the graph gets a stage, preprocessing the first and the final pooling the last.
    """
    found = _stretches(graph)
    names = _names(len(found))
    stages, stage_of = [], {operation.name: names[0] for operation in graph.operations}
    seen: set[str] = set()
    for name, stretch in zip(names, found, strict=True):
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
        pairs = _pieces(todo, graph.outputs, crossing=2)
        return _group(pairs, _spatial) if not _lumped(pairs) else _group(pieces, _whole)
    found = _group(pieces, _whole)
    if len(found) > MOST:
        found = _group(pieces, _spatial)
    return found if len(found) > 2 else _even(pieces) or found


def _pieces(todo: Sequence[Step], outputs: Sequence[Any], crossing: int) -> list[Stretch]:
    """Cut the steps wherever at most `crossing` tensors cross."""
    last_use = {id(tensor): i for i, step in enumerate(todo) for tensor in step.inputs}
    last_use.update((id(tensor), len(todo)) for tensor in outputs)
    pieces, since = [], 0
    alive: set[int] = {id(tensor) for tensor in (todo[0].inputs if todo else ())}
    for i, step in enumerate(todo):
        alive.update(id(tensor) for tensor in step.outputs)
        alive = {tensor for tensor in alive if last_use.get(tensor, -1) > i}
        if len(alive) <= crossing or i == len(todo) - 1:
            pieces.append(Stretch(tuple(todo[since : i + 1]), tuple(step.outputs[0].shape[1:])))
            since = i + 1
    return pieces


def _lumped(pieces: Sequence[Stretch]) -> bool:
    """Whether one piece holds most of a network's layers: no cut of this kind goes through its body."""
    counts = [sum(map(_learns, piece.steps)) for piece in pieces]
    return max(counts, default=0) > max(20, sum(counts) / 2)


def _group(pieces: Sequence[Stretch], key: Callable[[Stretch], Any]) -> list[Stretch]:
    """Join neighbours of one key; what has no weights goes with what is before it, the wide inside of a block with its end."""
    groups: list[list[Stretch]] = [[]]
    current = None
    for piece in pieces:
        if piece.learns and current not in (None, key(piece)):
            groups.append([])
        if piece.learns:
            current = key(piece)
        groups[-1].append(piece)
    return _join_wide([_join(group) for group in groups if group])


def _join_wide(groups: Sequence[Stretch]) -> list[Stretch]:
    joined: list[Stretch] = []
    for group in reversed(groups):
        if joined and (group.shape[-1] or 0) > EXPANSION * (joined[0].shape[-1] or 1):
            joined[0] = _join([group, joined[0]])
        else:
            joined.insert(0, group)
    return joined


def _even(pieces: Sequence[Stretch]) -> list[Stretch]:
    """Stretches with equally many of the pieces that learn; none if there are too few pieces to tell apart."""
    total = sum(piece.learns for piece in pieces)
    if total < BLOCKS:
        return []
    groups: list[list[Stretch]] = [[] for _ in range(BLOCKS)]
    learnt = 0
    for piece in pieces:
        learnt += piece.learns
        groups[max(learnt - 1, 0) * BLOCKS // total].append(piece)
    return [_join(group) for group in groups]


def _join(stretches: Sequence[Stretch]) -> Stretch:
    return Stretch(tuple(step for each in stretches for step in each.steps), stretches[-1].shape)


def _learns(step: Step) -> bool:
    return bool(getattr(step.operation, "trainable_variables", ()))


def _whole(piece: Stretch) -> Any:
    return piece.shape


def _spatial(piece: Stretch) -> Any:
    return piece.shape[:-1]
