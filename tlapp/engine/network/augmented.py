"""Examples as an augmentation changes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Augment
from tlapp.engine.inputs.examples import Examples
from tlapp.errors import PluginError

ROUNDING = 1.0
"""How far a changed picture's values may lie outside 0 to 255."""


class Augmented:
    """Examples changed at random, another way at each draw.

    Args:
        symbols: the graph's inputs: examples are of their dtypes before they are changed.
        reference: examples that the augmentation looks at.
        copy: number of the one copy to make, whatever the draw; None for one a draw.
    """

    def __init__(
        self, examples: Examples, augment: Augment, seed: int, symbols: Sequence[Any], reference: Examples | None = None,
        copy: int | None = None,
    ):  # fmt: skip
        self.examples, self.augment, self.seed, self.reference, self.copy = examples, augment, seed, reference, copy
        self._dtypes, self._checked = [tensor.dtype for tensor in symbols], False

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        """The examples of those numbers, changed."""
        first = int(self.examples.numbers[rows[0]])
        number = draw if self.copy is None else self.copy
        seed = int(np.random.SeedSequence([self.seed, number, first]).generate_state(1)[0] >> 2)
        if copies := self.augment.views:
            seed += (number - seed) % copies
        others = () if self.reference is None else (self._tensors(self._others(self.reference, seed, len(rows))),)
        copy = {"copy": number} if takes_copy(self.augment.apply) else {}
        arrays = self.examples.take(rows)
        changed = self.augment.apply(self._tensors(arrays), seed, *others, **copy)
        parts = tuple(np.asarray(each) for each in (changed if isinstance(changed, (tuple, list)) else (changed,)))
        if not self._checked:
            self._checked = True
            must_be_alike(self.augment.name, parts, arrays)
        return parts

    def _tensors(self, arrays: Sequence[np.ndarray]) -> Any:
        """What an augmentation gets: a tensor, or a tuple of them where there are several inputs."""
        import tensorflow as tf

        tensors = tuple(tf.constant(array, dtype) for array, dtype in zip(arrays, self._dtypes, strict=True))
        return tensors if len(tensors) > 1 else tensors[0]

    @staticmethod
    def _others(reference: Examples, seed: int, count: int) -> tuple[np.ndarray, ...]:
        return reference.take(np.random.default_rng(seed).integers(len(reference.numbers), size=count))


def must_be_alike(name: str, changed: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> None:
    """Check that an augmentation kept the shape of the examples, and the range of pictures.

    Raises:
        PluginError: it has not; says what came.
    """
    shapes, wanted = ([each.shape for each in arrays_] for arrays_ in (changed, arrays))
    if shapes != wanted:
        raise PluginError(f"augmentation {name} must keep the shape {_one(wanted)}. Received: {_one(shapes)}")
    for before, after in zip(arrays, changed, strict=True):
        low, high = float(after.min(initial=0.0)), float(after.max(initial=0.0))
        if not np.isfinite([low, high]).all():
            raise PluginError(f"augmentation {name} gives values that are not finite numbers")
        if before.dtype == np.uint8 and before.ndim == 4 and not (low >= -ROUNDING and high <= 255 + ROUNDING):
            raise PluginError(f"augmentation {name} must keep values from 0 to 255. Received: {low:.4g} to {high:.4g}")


def _one(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))


def takes_copy(apply: Callable[..., Any]) -> bool:
    """Whether an augmentation's function wants to know which copy it makes; those of contract 1.1 read it off the seed."""
    return "copy" in inspect.signature(apply).parameters
