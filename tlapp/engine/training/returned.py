"""What a strategy's loss, sampler and score return, checked where they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tlapp.errors import PluginError
from tlapp.words import shortened


def terms(result: Any, phase: str) -> dict[str, Any]:
    """A loss's terms, as float32 scalars.

    Raises:
        PluginError: it is no dict of scalars.
    """
    import tensorflow as tf

    wanted = f'phase {phase}: its loss must return a dict of scalars, such as {{"loss": net.task_loss(batch["train"])}}'
    if not isinstance(result, Mapping) or not result:
        raise PluginError(f"{wanted}. Received: {_in_words(result)}")
    scalars = {}
    for name, value in result.items():
        try:
            tensor = tf.convert_to_tensor(value)
        except (TypeError, ValueError) as error:
            raise PluginError(f"{wanted}; its term {name} is not a number. Received: {_in_words(value)}") from error
        if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
            raise PluginError(f"{wanted}; its term {name} is not a number. Received: {_in_words(value)}")
        if tensor.shape.rank != 0:
            raise PluginError(f"{wanted}; its term {name} has the shape {tuple(tensor.shape)}: average it over the batch")
        scalars[str(name)] = tf.cast(tensor, tf.float32)
    return scalars


def _in_words(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if hasattr(value, "shape") else shortened(value)


def batches(drawn: Iterable[Any], phase: str, steps: int, size: int) -> np.ndarray:
    """A sampler's batches, (steps, batch), as row numbers below `size`.

    Raises:
        PluginError: they are too few, of different lengths, or not rows of the stream.
    """
    arrays = [np.asarray(each) for each in drawn]
    fault = ""
    if len(arrays) != steps:
        fault = f"must yield {steps} batches, one a step. Received: {len(arrays)}"
    elif odd := [each for each in arrays if each.ndim != 1 or not np.issubdtype(each.dtype, np.integer)]:
        fault = f"must yield arrays (batch,) of row numbers. Received: shape {odd[0].shape}, {odd[0].dtype}"
    elif len({len(each) for each in arrays}) > 1 or not len(arrays[0]):
        lengths = sorted({len(each) for each in arrays})
        fault = f"must yield batches of one length, above 0. Received: lengths {', '.join(map(str, lengths))}"
    elif min(each.min() for each in arrays) < 0 or max(each.max() for each in arrays) >= size:
        low, high = min(each.min() for each in arrays), max(each.max() for each in arrays)
        fault = f"must yield row numbers from 0 to {size - 1}. Received: {low} to {high}"
    if fault:
        raise PluginError(f"phase {phase}: its sampler {fault}")
    return np.stack(arrays)


def rows_of(chosen: Any, size: int, phase: str) -> np.ndarray:
    """The rows of train that a score looks at, checked.

    Raises:
        PluginError: they are no row numbers below `size`, or none.
    """
    rows = np.asarray(chosen)
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer) or not len(rows) or rows.min() < 0 or rows.max() >= size:
        raise PluginError(
            f"phase {phase}: rows() of its score must return row numbers (n,) from 0 to {size - 1}. Received: {shortened(chosen)}"
        )
    return rows


def score_of(score: Any, phase: str) -> float:
    """What a score gave, checked.

    Raises:
        PluginError: it is no finite number.
    """
    try:
        number = float(score)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise PluginError(f"phase {phase}: its score must return a finite number. Received: {shortened(score)}")
    return number
