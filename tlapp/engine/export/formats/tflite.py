"""TFLite files: the deployed model as built-in operations, quantised or not."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts.graph import Step, expand, is_nested, rebuild
from tlapp.engine.export.formats.savedmodel import write_fixed
from tlapp.errors import UserError
from tlapp.words import in_a_line

FILE = "model.tflite"
# 200 pictures: the converter's guide asks for 100 to 500, and each costs as much as two predictions.
CALIBRATION = 200


class Unfit(UserError):
    """A model does not convert; `reason` says why."""

    def __init__(self, reason: str):
        super().__init__(f"option format=tflite: this model does not convert: {reason}")
        self.reason = reason


def convert(model: Any, quantize: str, calibration: np.ndarray | None) -> bytes:
    """A TFLite file: one picture of values 0 to 255, (1, size, size, 3), to its float probabilities.

    Args:
        quantize: "none", "float16", "dynamic" or "int8"; the input is uint8 for "int8", else float.
        calibration: pictures (n, size, size, 3) uint8, for "int8".

    Raises:
        Unfit: an operation of the model has no built-in counterpart; names it.
    """
    if quantize == "int8":
        model = for_int8(model)
    with tempfile.TemporaryDirectory() as folder:
        return tried(converter(write_fixed(model, Path(folder)), quantize, calibration).convert)


def for_int8(model: Any) -> Any:
    """The same network with each Rescaling as a depthwise convolution of one pixel, which int8 computes without loss.

    As a product and a sum, each with a constant, it loses up to a step of a pixel: on digits, with EfficientNet-Lite0, int8 had
    an accuracy of 0.889 so and has 0.933 this way (float: 0.961). A convolution accumulates in 32 bits and rounds once, to the
    pixels' own steps.
    """
    import keras

    def call(step: Step, values: dict[int, Any]) -> list[Any]:
        layer = step.operation
        if not isinstance(layer, keras.layers.Rescaling) or len(step.inputs[0].shape) != 4:
            return expand(step, values, call) if is_nested(layer) else [*step.call(values)]
        channels = int(step.inputs[0].shape[-1])
        scale, offset = (np.broadcast_to(np.asarray(each, np.float32), (channels,)) for each in (layer.scale, layer.offset))
        return [keras.ops.depthwise_conv(values[id(step.inputs[0])], scale.reshape(1, 1, channels, 1)) + offset]

    return rebuild(model, call)


def converter(saved_model: str, quantize: str, calibration: np.ndarray | None, takes_uint8: bool = False) -> Any:
    """A converter of a fixed SavedModel, set up."""
    import tensorflow as tf

    found = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    if quantize != "none":
        found.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        found.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        assert calibration is not None, "int8 is calibrated"
        kind = np.uint8 if takes_uint8 else np.float32
        found.representative_dataset = lambda: samples(calibration, kind)
        found.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        found.inference_input_type = tf.float32 if takes_uint8 else tf.uint8
    return found


def samples(pictures: np.ndarray, kind: Any = np.float32) -> Iterator[list[np.ndarray]]:
    """Pictures as the converter calibrates on them."""
    for number, picture in enumerate(pictures):
        image = picture[None].astype(kind)
        if number == 0:  # the whole range, so that a step of the input is one step of a pixel
            image[0, 0, 0], image[0, -1, -1] = 0, 255
        yield [image]


def tried(call: Callable[[], Any]) -> Any:
    """What the call returns; the converter's failure is put into a sentence.

    Raises:
        Unfit: it does not convert.
    """
    try:
        return call()
    except Exception as error:  # the converter raises its own kinds, by version
        operations = sorted(set(re.findall(r"\btf\.([A-Z]\w+)", str(error))))
        raise Unfit(f"no built-in counterpart of {', '.join(operations)}" if operations else in_a_line(error)) from error
