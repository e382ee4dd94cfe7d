"""A SavedModel as a Keras layer that trains, freezes, saves itself whole and exports.

Keras finds the class by its registered name, so whoever reads a saved model imports this module first. It alone among the
providers imports Keras at its top; the others import it inside functions.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Saved(NamedTuple):
    """A loaded SavedModel, and the private copy that it was loaded from."""

    module: Any
    copy: tempfile.TemporaryDirectory[str]


def copied(folder: str) -> tempfile.TemporaryDirectory[str]:
    """A private copy of a SavedModel, so that it can be saved again whatever becomes of its folder."""
    copy = tempfile.TemporaryDirectory(prefix="tlapp-hub-")
    shutil.copytree(folder, copy.name, dirs_exist_ok=True)
    return copy


def opened(copy: tempfile.TemporaryDirectory[str]) -> Saved:
    """Load a copied SavedModel."""
    return Saved(tf.saved_model.load(copy.name), copy)


@keras.saving.register_keras_serializable("tlapp")
class HubModule(keras.layers.Layer):
    """The network of a SavedModel in the format of TensorFlow 2.

    Args:
        features: shape of the output without the batch.
        specifications: name, shape, type and whether it trains, of each variable.
        saved: the SavedModel; None while Keras reads a .keras file, whose assets hold it.
    """

    def __init__(self, features: Any, specifications: Any, saved: Saved | None = None, **options: Any):
        super().__init__(**options)
        self.features = tuple(features)
        self.specifications = [tuple(each) for each in specifications]
        self._in_order = [
            self.add_weight(tuple(shape), initializer="zeros", dtype=dtype, trainable=learns, name=name)
            for name, shape, dtype, learns in self.specifications
        ]
        self._saved: Any = None
        if saved:
            self._adopt(saved)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The features of a batch of pictures."""
        module = self._saved.module
        return only(entry(module)(inputs, training=bool(training)) if _tells_training(module) else entry(module)(inputs))

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """Shape and type of `call`, known before the SavedModel is read."""
        return keras.KerasTensor((inputs.shape[0], *self.features), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """All but the SavedModel, which goes into the assets."""
        return {**super().get_config(), "features": self.features, "specifications": self.specifications}

    def save_assets(self, dir_path: str) -> None:
        """Put the SavedModel into a .keras file."""
        shutil.copytree(self._saved.copy.name, dir_path, dirs_exist_ok=True)

    def load_assets(self, dir_path: str) -> None:
        """Read the SavedModel from a .keras file, whose weights are here already."""
        current = [variable.numpy() for variable in self._in_order]
        self._adopt(opened(copied(dir_path)))
        for variable, value in zip(self._in_order, current, strict=True):
            variable.assign(value)

    def _adopt(self, saved: Saved) -> None:
        """Make this layer's variables those of the SavedModel."""
        self._saved = saved
        for mine, (theirs, _) in zip(self._in_order, variables(saved.module), strict=True):
            mine._value = theirs


def specify(module: Any) -> list[tuple[str, tuple[int, ...], str, bool]]:
    """Name, shape, type and whether it trains, of each variable of a module."""
    return [
        (Path(each.name).name.partition(":")[0], tuple(each.shape), each.dtype.name, learns) for each, learns in variables(module)
    ]


def entry(module: Any) -> Any:
    """What computes a module's features: itself, or the endpoint of a Keras export; None in TensorFlow 1 format."""
    return module if callable(module) else getattr(module, "serve", None)


def variables(module: Any) -> list[tuple[Any, bool]]:
    """The numeric variables behind a module's features, and whether each is to be trained."""
    used = [each for function in traces(module) for each in function.graph.variables]
    known = (*getattr(module, "variables", ()), *used)
    numeric = {id(each): each for each in known if each.dtype.is_floating or each.dtype.is_integer}
    if not hasattr(module, "trainable_variables"):
        return [(each, each.trainable) for each in numeric.values()]
    learn = set(map(id, module.trainable_variables))
    return [(each, key in learn) for key, each in numeric.items()]


def traces(module: Any) -> list[Any]:
    """The concrete functions of a module's entry."""
    function = module.__call__ if callable(module) else entry(module)
    return list(getattr(function, "concrete_functions", ()))


def only(outputs: Any) -> Any:
    """The one tensor of a module's outputs, or the one called "default"."""
    if isinstance(outputs, dict) and "default" in outputs:
        return outputs["default"]
    flat = tf.nest.flatten(outputs)
    if len(flat) != 1:
        raise ValueError(f"it has {len(flat)} outputs instead of one")
    return flat[0]


def _tells_training(module: Any) -> bool:
    """Whether a module is another function in training, and has a parameter `training` for it."""
    if not callable(module):
        return False
    arguments = module.__call__.function_spec.fullargspec
    return "training" in (*arguments.args, *arguments.kwonlyargs)
