"""The cut: where the frozen front of a network meets the living rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tlapp.contracts.graph import Step, needed, steps


@dataclass(frozen=True)
class Cut:
    """A functional graph in two: `front` computes `boundary` from the inputs, `rest` the features from `boundary`.

    Attributes:
        inputs: the graph's symbolic inputs.
        boundary: the symbolic tensors that cross, an input of the graph among them where the rest reads it; all inputs where
            the front holds no weights.
        front, rest: steps in order.
        output: the symbolic features.
    """

    inputs: tuple[Any, ...]
    boundary: tuple[Any, ...]
    front: tuple[Step, ...]
    rest: tuple[Step, ...]
    output: Any

    @property
    def at_input(self) -> bool:
        """Whether nothing is worth computing beforehand."""
        return not self.front


def cut(graph: Any, rates: Mapping[str, float], stage_of: Mapping[str, str], grafts: float = 1.0) -> Cut:
    """Cut a functional graph at the frozen tensors that living operations read.

    An operation is frozen when its rate is 0 (or it has no stage and nothing to train) and all its inputs are frozen.

    Args:
        rates: stage -> rate.
        stage_of: layer -> stage.
        grafts: the rate of layers without a stage.
    """
    every = steps(graph)
    inputs, output = tuple(graph.inputs), graph.outputs[0]
    frozen = {id(tensor) for tensor in inputs}
    rest: list[Step] = []
    for step in every:
        stage = stage_of.get(step.operation.name)
        lives = grafts > 0 and _weights(step) and step.operation.trainable if stage is None else rates[stage] > 0
        if lives or any(id(tensor) not in frozen for tensor in step.inputs):
            rest.append(step)
        else:
            frozen.update(id(tensor) for tensor in step.outputs)
    rest = needed(rest, [output])
    crossing = {id(t): t for step in rest for t in step.inputs if id(t) in frozen}
    boundary = tuple(crossing.values()) or (output,)
    front = needed(every, boundary)
    if not any(_weights(step) for step in front):
        return Cut(inputs, inputs, (), tuple(needed(every, [output])), output)
    return Cut(inputs, boundary, tuple(front), tuple(rest), output)


def whole(graph: Any, stage_of: Mapping[str, str]) -> Cut:
    """The cut behind a whole backbone, all of it frozen."""
    return cut(graph, dict.fromkeys(stage_of.values(), 0.0), stage_of, 0.0)


def holds(graph: Any, cuts: Iterable[Cut]) -> bool:
    """Whether what crosses all of these cuts is in a graph too, as where that only goes on from theirs."""
    there = {id(tensor) for tensor in (*graph.inputs, *(each for step in steps(graph) for each in step.outputs))}
    return all(id(tensor) in there for cut in cuts for tensor in cut.boundary)


def _weights(step: Step) -> bool:
    """Whether a step has weights; an operation of keras.ops has not even the attribute."""
    return bool(getattr(step.operation, "weights", ()))
