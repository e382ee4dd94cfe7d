"""What a guide says of examples: asked once an example and copy, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Guide
from tlapp.engine.cache import store
from tlapp.engine.network.activations import BLOCK
from tlapp.engine.network.sources import Source
from tlapp.errors import PluginError
from tlapp.words import shortened

Ask = Callable[[Sequence[np.ndarray]], np.ndarray]
"""Arrays of a block of examples -> what a guide says of them."""


class Answers:
    """What a guide said of every example of a stream, (n, ...)."""

    def __init__(self, answers: np.ndarray):
        self.answers = answers

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        """Of the examples of those numbers."""
        return (self.answers[rows],)


class Asked:
    """A guide that is asked anew at each call."""

    def __init__(self, examples: Source, ask: Ask):
        self._examples, self._ask = examples, ask

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        """Of the examples of those numbers."""
        return (self._ask(self._examples.take(rows, draw)),)


def asking(name: str, guide: Guide, dtypes: Sequence[str]) -> Ask:
    """How a guide is asked, its answers checked; `dtypes` are those of the network's inputs."""

    def ask(arrays: Sequence[np.ndarray]) -> np.ndarray:
        import tensorflow as tf

        tensors = tuple(tf.constant(array, dtype) for array, dtype in zip(arrays, dtypes, strict=True))
        answers = np.asarray(guide.apply(tensors if len(tensors) > 1 else tensors[0]))
        fits = answers.ndim >= 1 and len(answers) == len(arrays[0]) and np.issubdtype(answers.dtype, np.number)
        if not fits or not np.isfinite(answers).all():
            got = f"shape {answers.shape}, {answers.dtype}" if answers.ndim else shortened(answers.item())
            raise PluginError(f"guide {name} must give finite numbers ({len(arrays[0])}, ...), a row an example. Received: {got}")
        return answers.astype(np.float32)

    return ask


def answers(ask: Ask, examples: Source, count: int, key: str, report: Callable[[str, int, int], None]) -> Answers:
    """What a guide says of all examples, from the store where it is there; `key` "" keeps it in memory alone."""
    if key and (table := store.find(key)) is not None:
        return Answers(table.take(np.arange(count)))
    blocks: list[Any] = []
    for start in range(0, count, BLOCK):
        rows = np.arange(start, min(start + BLOCK, count))
        blocks.append(ask(examples.take(rows, 0)))
        report("guide", int(rows[-1]) + 1, count)
    array = np.concatenate(blocks)
    if key:
        with store.write(key, count, array.shape[1:], str(array.dtype)) as writer:
            writer.put(0, array)
            writer.commit({"what": "guide"})
    return Answers(array)
