"""Several models of the same examples in one: what they share stands in it once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlapp.contracts.graph import Step, replay, steps


def joined(models: Mapping[str, Any]) -> Any:
    """One functional model with an output for each of several, named as in `models`, which take the same inputs.

    Layers of one class, settings and weights become one layer; where it is called on the same tensors, it is computed once.
    """
    import keras

    first = next(iter(models.values()))
    inputs = [keras.Input(t.shape[1:], name=t.name, dtype=t.dtype) for t in first.inputs]
    shared, outputs = _Shared(), {}
    for name, model in models.items():
        values = {id(symbol): tensor for symbol, tensor in zip(model.inputs, inputs, strict=True)}
        replay(steps(model), values, shared.caller(name))
        outputs[name] = values[id(model.outputs[0])]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs)


class _Shared:
    """The layers so far, by what they are, and what each call of one of them gave."""

    def __init__(self) -> None:
        self._layers: dict[tuple[str, ...], Any] = {}
        self._names: set[str] = set()
        self._calls: dict[tuple[Any, ...], tuple[Sequence[Any], Sequence[Any]]] = {}

    def caller(self, name: str) -> Any:
        """Runs the steps of the model of this name."""

        def call(step: Step, values: dict[int, Any]) -> Sequence[Any]:
            layer, inputs = self._layer(step, name), [values[id(tensor)] for tensor in step.inputs]
            place = (id(layer), _constants(step), *map(id, inputs))
            if place not in self._calls:  # the inputs are held with it, so that no other tensor takes an id
                self._calls[place] = (step._replace(operation=layer).call(values), inputs)
            return self._calls[place][0]

        return call

    def _layer(self, step: Step, name: str) -> Any:
        layer = step.operation
        config = {key: value for key, value in layer.get_config().items() if key != "name"}
        weights = [np.ascontiguousarray(weight) for weight in getattr(layer, "get_weights", list)()]
        digest = hashlib.blake2b(b"".join(weight.tobytes() for weight in weights)).hexdigest()
        key = (type(layer).__module__, type(layer).__qualname__, json.dumps(config, sort_keys=True, default=str), digest)
        if key not in self._layers:
            own = layer.name not in self._names
            made = layer if own else type(layer).from_config({**layer.get_config(), "name": f"{name}_{layer.name}"})
            if not own and weights:
                made.build(tuple(step.inputs[0].shape))
                made.set_weights(weights)
            self._names.add(made.name)
            self._layers[key] = made
        return self._layers[key]


def _constants(step: Step) -> str:
    """What a step is called with besides tensors, as a key."""
    import keras

    known = {id(tensor) for tensor in step.inputs}

    def word(value: Any) -> str:
        if id(value) in known:
            return "tensor"
        return value.tobytes().hex() if isinstance(value, np.ndarray) else repr(value)

    return repr(keras.tree.map_structure(word, (step.arguments.args, step.arguments.kwargs)))
