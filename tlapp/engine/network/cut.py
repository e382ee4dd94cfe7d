"""The cut: where the frozen front of a network meets the living rest."""

from __future__ import annotations

from collections.abc import Mapping
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


def rate(operation: Any, rates: Mapping[str, float], stage_of: Mapping[str, str]) -> float:
    """The rate of an operation: its stage's, or 1 where it belongs to none, having been grafted."""
    stage = stage_of.get(operation.name)
    return rates[stage] if stage is not None else 1.0


def cut(graph: Any, rates: Mapping[str, float], stage_of: Mapping[str, str]) -> Cut:
    """Cut a functional graph at the frozen tensors that living operations read.

    An operation is frozen when its rate is 0 (or it has no stage and no weights) and all its inputs are frozen.
    """
    every = steps(graph)
    inputs, output = tuple(graph.inputs), graph.outputs[0]
    frozen = {id(tensor) for tensor in inputs}
    rest: list[Step] = []
    for step in every:
        lives = _weights(step) if step.operation.name not in stage_of else rate(step.operation, rates, stage_of) > 0
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


def _weights(step: Step) -> bool:
    """Whether a step has weights; an operation of keras.ops has not even the attribute."""
    return bool(getattr(step.operation, "weights", ()))
