"""Tokens of a vision transformer as a map: those of the patches lie in a square grid, behind a class token and its like."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Any

from tlapp.contracts.graph import Step

MOST_FIRST = 5
"""Tokens before those of the patches, at most: one for the class, one of a teacher (DeiT), four registers (DINOv2)."""


def grid_side(tensor: Any, size: int) -> int:
    """Patches a side of symbolic tokens (batch, tokens, channels) of a picture of so many pixels a side; 0 for none."""
    shape = tuple(tensor.shape)
    if len(shape) != 3 or shape[1] is None:
        return 0
    side = isqrt(shape[1])
    return side if side > 1 and size % side == 0 and shape[1] - side * side <= MOST_FIRST else 0


def as_map(values: Any) -> Any:
    """Tokens (n, tokens, channels) as a map (n, side, side, channels) of those of the patches; a map as it is."""
    import tensorflow as tf

    if len(values.shape) == 4:
        return values
    side = isqrt(values.shape[1])
    return tf.reshape(values[:, -side * side :], (-1, side, side, values.shape[2]))


def grids(model: Any, todo: Sequence[Step]) -> list[Any]:
    """The grids of tokens, first one first, from each of which alone the answer is computed."""
    size = int(model.inputs[0].shape[1])
    last_read = {id(tensor): number for number, step in enumerate(todo) for tensor in step.inputs}
    last_read[id(model.outputs[0])] = len(todo)
    alive, found = {id(tensor) for tensor in model.inputs}, []
    for number, step in enumerate(todo):
        alive = {key for key in alive | {id(tensor) for tensor in step.outputs} if last_read.get(key, -1) > number}
        found += [tensor for tensor in step.outputs if alive == {id(tensor)} and grid_side(tensor, size)]
    return found
