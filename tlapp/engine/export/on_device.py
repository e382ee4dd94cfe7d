"""A TFLite file that a phone teaches further classes: signatures infer, learn, save and restore, of built-in operations."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tlapp.contracts import OnDevice
from tlapp.contracts.input_export import InputExport
from tlapp.engine.export.check import Truth
from tlapp.engine.export.converter import converter, tried
from tlapp.engine.export.formats.savedmodel import fixed_specs
from tlapp.engine.export.interpreter import FEATURES, INFER
from tlapp.engine.network.deploy import answers_of, trunk_of

SIGNATURES = (INFER, "learn", "save", "restore")
"""In the order in which they stand in the file: what knows no signatures, such as MediaPipe, runs the first."""
LABEL = "label"


def names(room: int) -> tuple[str, ...]:
    """What the classes are called for which there is room."""
    return tuple(f"new {number}" for number in range(1, room + 1))


def wider(truth: Truth, room: int) -> Truth:
    """What the file is compared with before it learnt anything: a class that it has not seen has no probability."""
    rows = np.pad(truth.probabilities, ((0, 0), (0, room)))
    return replace(truth, probabilities=rows, classes=(*truth.classes, *names(room)))


def content(model: Any, learner: OnDevice, classes: int, quantize: str, takes: InputExport) -> bytes:
    """The file.

    infer: an example -> the output, as the model names it, and "features", (1, size).
    learn: "features", and "label", the class's number, (1,) int32 -> the new state.
    save: nothing -> the state. restore: the state -> the state.

    Learning takes features, which infer has computed, so that the network stands in the file and runs once.

    Args:
        model: the deployed one.
        learner: of its head.
        classes: how many, with those for which there is room.
        quantize: "none", "float16" or "dynamic".

    Raises:
        Unfit: an operation has no built-in counterpart.
    """
    import tensorflow as tf

    module = _module(model, learner, classes, takes)
    with tempfile.TemporaryDirectory() as folder:
        functions = {name: getattr(module, name).get_concrete_function() for name in SIGNATURES}
        tf.saved_model.save(module, folder, signatures=functions)
        setup = converter(folder, quantize, None, signatures=SIGNATURES)
        setup.experimental_enable_resource_variables = True
        return bytes(tried(setup.convert))


def _module(model: Any, learner: OnDevice, classes: int, takes: InputExport) -> Any:
    """A tf.Module with the functions of the signatures."""
    import tensorflow as tf

    trunk, last = trunk_of(model), answers_of(model)
    module = tf.Module()
    module.weights = [variable.value for variable in trunk.variables]
    module.state = {name: tf.Variable(array, dtype=tf.float32, name=name) for name, array in learner.state.items()}
    feature = tf.TensorSpec((1, trunk.outputs[0].shape[-1]), tf.float32, FEATURES)

    def state() -> dict[str, Any]:
        return {name: tf.identity(variable) for name, variable in module.state.items()}

    def keep(changed: Mapping[str, Any]) -> dict[str, Any]:
        for name, variable in module.state.items():
            variable.assign(changed[name])
        return state()

    def infer(*arrays: Any) -> dict[str, Any]:
        own = takes.received(arrays[: len(takes.names)])
        cast = [tf.cast(array, each.dtype) for array, each in zip(own, model.inputs, strict=True)]
        features = trunk(cast if len(cast) > 1 else cast[0], training=False)
        return {model.output_names[0]: last(learner.outputs(features, module.state)), FEATURES: features}

    def learn(features: Any, label: Any) -> dict[str, Any]:
        return keep(learner.learned(features, tf.one_hot(label, classes), module.state))

    given = [tf.TensorSpec(array.shape, tf.float32, name) for name, array in learner.state.items()]

    def restore(*arrays: Any) -> dict[str, Any]:
        return keep(dict(zip(module.state, arrays, strict=True)))

    module.infer = tf.function(infer, input_signature=fixed_specs(model, takes))
    module.learn = tf.function(learn, input_signature=[feature, tf.TensorSpec((1,), tf.int32, LABEL)])
    module.save = tf.function(state, input_signature=[])
    module.restore = tf.function(restore, input_signature=given)
    return module
