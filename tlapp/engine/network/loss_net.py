"""What a loss is given of a phase's net: the names of `contracts.Net`, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from tlapp.contracts import Batch, Weight
from tlapp.engine.network.net import PhaseNet
from tlapp.errors import PluginError
from tlapp.words import a_few, did_you_mean


class Start:
    """The values that a phase's weights begin with: kept as they were when this was made.

    Args:
        variables: path -> variable.
    """

    def __init__(self, variables: Mapping[str, Any]):
        self.variables, self.used = variables, False
        self.arrays = [np.array(variable) for variable in variables.values()]
        self._tensors: list[Any] = []

    def tensors(self) -> Sequence[Any]:
        """As tensors, in the order of the variables; from now on they are part of the checkpoint."""
        import tensorflow as tf

        self.used = True
        if not self._tensors:
            with tf.init_scope():  # captured by a compiled function, not copied into it
                self._tensors = [tf.constant(array) for array in self.arrays]
        return self._tensors

    def replace(self, arrays: Sequence[np.ndarray]) -> None:
        """Take what an earlier process began with."""
        self.arrays, self._tensors, self.used = list(arrays), [], True


class LossNet:
    """A phase's net as its loss sees it; implements `contracts.Net`.

    Args:
        net: the phase's.
        start: its weights as the phase began.
        averages: gives path -> moving average of each weight; empty where the phase keeps none.
    """

    __slots__ = ("_averages", "_net", "_start")

    def __init__(self, net: PhaseNet, start: Start, averages: Callable[[], Mapping[str, Any]] = dict):
        self._net, self._start, self._averages = net, start, averages

    @property
    def progress(self) -> Any:
        return self._net.progress

    def features(self, x: Any, weights: Mapping[str, Any] | None = None) -> Any:
        with self._replaced(weights):
            return self._net.features(x)

    def head(self, features: Any, weights: Mapping[str, Any] | None = None) -> Any:
        with self._replaced(weights):
            return self._net.head(features)

    def part(self, name: str) -> Any:
        if name not in self._net.parts:
            parts = a_few([*self._net.parts]) or "none"
            raise PluginError(f"there is no part {name}{did_you_mean(name, self._net.parts)}; the phase's parts: {parts}")
        return self._net.part(name)

    def task_loss(self, batch: Batch, outputs: Any = None) -> Any:
        return self._net.task_loss(batch, outputs)

    def weights(self) -> tuple[Weight, ...]:
        pairs = zip(self._start.variables.items(), self._start.tensors(), strict=True)
        return tuple(Weight(path, variable.value, start) for (path, variable), start in pairs)

    def average(self, x: Any) -> Any:
        import keras

        averages = self._averages()
        if not averages:
            raise PluginError("net.average() needs a phase that keeps a moving average: Fit(average=0.99)")
        with self._replaced(averages):
            return keras.ops.stop_gradient(self._net.predict(x))

    def _replaced(self, weights: Mapping[str, Any] | None) -> AbstractContextManager[Any]:
        """A scope in which the net's weights, by path, have other values."""
        import keras

        if weights is None:
            return nullcontext()
        known = self._start.variables
        if unknown := next((path for path in weights if path not in known), None):
            raise PluginError(f"there is no weight {unknown} that trains{did_you_mean(unknown, known)}; net.weights() lists them")
        return keras.StatelessScope(state_mapping=[(known[path], value) for path, value in weights.items()])
