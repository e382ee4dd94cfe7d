"""The living net of a phase: what its loss may touch, and what its optimizers move."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from tlapp.contracts import Batch, Fit, Head
from tlapp.contracts.graph import Step, replay
from tlapp.engine.cut import Cut, rate


@cache
def takes_training(kind: type) -> bool:
    """Whether a layer class's call has a `training` argument."""
    call = getattr(kind, "call", None)
    return call is not None and "training" in inspect.signature(call).parameters


def is_batch_norm(operation: Any) -> bool:
    """Whether an operation normalises by statistics of the batch."""
    import keras

    return isinstance(operation, keras.layers.BatchNormalization)


def infer(step: Step, values: dict[int, Any]) -> list[Any]:
    """Run a step in inference mode, whatever its arguments say."""
    return step.call(values, **({"training": False} if takes_training(type(step.operation)) else {}))


class PhaseNet:
    """The rest of the network, the head and the parts of one phase; implements `contracts.Net`.

    Args:
        cut: the graph, cut for this phase.
        phase: what trains, and how.
        stage_of: layer name -> stage name.
        head: the options object whose loss is used.
        layer: the head's built layer.
        parts: name -> layer.
    """

    def __init__(
        self, cut: Cut, phase: Fit, stage_of: Mapping[str, str], head: Head, layer: Any, parts: Mapping[str, Any]
    ):
        import keras

        self.cut, self.phase, self.layer, self.parts = cut, phase, layer, parts
        self._stage_of, self._head = stage_of, head
        self.progress: Any = keras.ops.convert_to_tensor(0.0)

    def _call(self, step: Step, values: dict[int, Any]) -> list[Any]:
        if not takes_training(type(step.operation)):
            return step.call(values)
        frozen_norm = self.phase.batch_norm == "frozen" and is_batch_norm(step.operation)
        return step.call(values, training=rate(step.operation, self.phase.rates, self._stage_of) > 0 and not frozen_norm)

    def _features(self, x: Any, call: Any) -> Any:
        import keras

        tensors = x if isinstance(x, (tuple, list)) else (x,)
        values = {id(s): keras.ops.cast(t, "float32") for s, t in zip(self.cut.boundary, tensors, strict=True)}
        return replay(self.cut.rest, values, call)[id(self.cut.output)]

    def features(self, x: Any) -> Any:
        return self._features(x, self._call)

    def head(self, features: Any) -> Any:
        return self.layer(features, training=True)

    def part(self, name: str) -> Any:
        return self.parts[name]

    def task_loss(self, batch: Batch) -> Any:
        import keras

        losses = self._head.loss(batch.y, self.head(self.features(batch.x)))
        return keras.ops.mean(losses * batch.weight)

    def predict(self, x: Any) -> Any:
        """Outputs (batch, classes) in inference mode."""
        return self.layer(self._features(x, infer), training=False)

    def trainable(self) -> dict[float, list[Any]]:
        """Rate -> the variables that learn at it; everything else is frozen."""
        groups: dict[float, list[Any]] = {}
        for step in self.cut.rest:
            if self.phase.batch_norm == "frozen" and is_batch_norm(step.operation):
                continue
            self._add(groups, rate(step.operation, self.phase.rates, self._stage_of), step.operation)
        for layer in (self.layer, *self.parts.values()):
            self._add(groups, 1.0, layer)
        return groups

    @staticmethod
    def _add(groups: dict[float, list[Any]], factor: float, operation: Any) -> None:
        known = groups.setdefault(factor, []) if factor > 0 else None
        for variable in getattr(operation, "trainable_variables", ()):
            if known is not None and not any(variable is other for other in known):
                known.append(variable)
