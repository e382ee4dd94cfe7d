"""The layers of keras-hub: mended so that they tell how they were made, and large ones taken apart."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

from tlapp.contracts import UserError, build
from tlapp.contracts.graph import Step

log = logging.getLogger("tlapp")

BASE = ("name", "trainable", "dtype")
"""What any layer is made with."""
LARGE, DEEPEST = 0.25, 3
"""A layer that holds more of the network than this is taken apart, so that stages are found inside it; and how often."""


def mend(kind: type) -> None:
    """Let layers of keras-hub tell how they were made, so that a saved model can be opened.

    Several of keras-hub 0.32 tell what their own __init__ refuses (ViT's `num_patches`, MiT's `drop_prop`).
    """
    subclasses: list[Any] = kind.__subclasses__()
    for below in subclasses:
        told = vars(below).get("get_config")
        if below.__module__.startswith("keras_hub.src.models.") and told and not hasattr(told, "mended"):
            below.get_config = _faithful(told)
        mend(below)


def _faithful(told: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """A layer's `get_config` that gives the arguments that it was made with, as Keras noted them."""

    def get_config(self: Any) -> dict[str, Any]:
        config, noted = told(self), getattr(self, "_auto_config", None)
        if noted is None:  # it was made with something that cannot be noted, such as a dtype policy
            taken = inspect.signature(type(self).__init__).parameters
            return {key: value for key, value in config.items() if key in taken or key in BASE}
        return {key: config[key] for key in BASE if key in config} | {**noted.config, "name": self.name}

    get_config.mended = True  # type: ignore[attr-defined]
    return get_config


def taken_apart(graph: Any) -> Any:
    """The network, the layers that hold most of it taken apart into those inside."""
    import keras

    total = graph.count_params()
    for _ in range(DEEPEST):
        found: list[str] = []

        def leaf(step: Step, values: dict[int, Any], found: list[str] = found) -> list[Any]:
            large = (
                len(step.inputs) == 1
                and getattr(step.operation, "weights", None)
                and step.operation.count_params() > LARGE * total
            )
            if large and (apart := _apart(step, values)) is not None:
                found.append(step.operation.name)
                return apart
            return step.call(values)

        image = keras.Input(graph.inputs[0].shape[1:], name="image")
        graph = keras.Model(image, build.flat(graph, image, leaf))
        if not found:
            break
    return graph


def _apart(step: Step, values: dict[int, Any]) -> list[Any] | None:
    """What a layer of keras-hub gives, by the layers inside it; None where it learns something itself, or cannot be read so."""
    import keras

    layer = step.operation
    own = [*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ())]
    inner = [*getattr(layer, "_layers", ())]
    if not type(layer).__module__.startswith("keras_hub.") or own or not inner:
        return None
    for each in inner:
        if not each.name.startswith(f"{layer.name}_"):
            each.name = f"{layer.name}_{each.name}"
    args, kwargs = step.arguments.fill_in(values)
    try:
        outputs = keras.tree.flatten(layer.call(*args, **kwargs))
        return outputs if _same(layer, values[id(step.inputs[0])], outputs) else None
    except Exception as error:  # such a call may do anything with what it takes for an array
        log.debug("keras-hub: %s stays whole: %s", layer.name, error)
        return None


def _same(layer: Any, source: Any, outputs: Sequence[Any]) -> bool:
    """Whether the layers inside give what the layer does, and can be opened again once they are saved."""
    import keras
    import numpy as np

    made = [*{id(output): place for place, output in enumerate(outputs) if output is not source}.values()]
    inside = keras.Model(source, [outputs[place] for place in made])
    keras.Model.from_config(inside.get_config())
    noise = np.random.default_rng(0).normal(size=(2, *(size or 8 for size in source.shape[1:]))).astype(np.float32)
    whole = keras.tree.flatten(layer(noise, training=False))
    pairs = zip(keras.tree.flatten(inside(noise, training=False)), [whole[place] for place in made], strict=True)
    return all(np.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(np.abs(theirs).max())) for ours, theirs in pairs)


def check_opens(graph: Any, identity: str) -> None:
    """Check that a network can be opened once it is saved.

    Raises:
        UserError: a layer of keras-hub forgets how it was made.
    """
    import keras

    try:
        keras.Model.from_config(graph.get_config())
    except Exception as error:  # Keras raises whatever the layers raise
        kinds = sorted({type(layer).__name__ for layer in graph.layers if type(layer).__module__.startswith("keras_hub.")})
        words = f"keras-hub cannot open this network again once it is saved (layers {', '.join(kinds)}); choose another"
        raise UserError(words, identity, option="backbone") from error
