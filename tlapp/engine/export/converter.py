"""TensorFlow's converter to TFLite: set up, calibrated, and its failures put into sentences."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts.graph import Step, expand, is_nested, rebuild
from tlapp.contracts.input_export import Arrays, InputExport
from tlapp.engine.export import flatbuffer
from tlapp.engine.export.formats.format import Unfit
from tlapp.engine.export.formats.savedmodel import names_of, write_fixed
from tlapp.engine.export.interpreter import plain
from tlapp.words import in_a_line


def convert(model: Any, quantize: str, calibration: Arrays | None = None, takes: InputExport | None = None) -> bytes:
    """A TFLite file: one example, such as a picture of values 0 to 255, (1, size, size, 3), to its float probabilities.

    Args:
        quantize: "none", "float16", "dynamic" or "int8"; the input is uint8 for "int8" if it holds integers, else float.
        calibration: examples, for "int8".
        takes: the model's input; None for plain arrays of the names of the model's own inputs.

    Raises:
        Unfit: an operation of the model has no built-in counterpart; names it.
    """
    takes = takes or InputExport(names_of(model))
    if quantize == "int8":
        model = for_int8(model)
    with tempfile.TemporaryDirectory() as folder:
        network = write_fixed(model, Path(folder), takes=takes)
        samples = samples_of(model, calibration, takes, network)
        return tried(converter(network, quantize, samples, integers=takes.integers).convert)


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


def converter(saved_model: str, quantize: str, samples: Callable[[], Any] | None, takes_uint8: bool = False,
              integers: bool = True, signatures: Sequence[str] | None = None) -> Any:  # fmt: skip
    """A converter of a fixed SavedModel, set up.

    Args:
        samples: gives the examples to calibrate int8 on.
        takes_uint8: the SavedModel itself takes uint8 values.
        integers: an int8 file takes uint8 values.
        signatures: their names, in the order that the file is to have them; None for the only one.
    """
    import tensorflow as tf

    setup = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=signatures)
    if quantize != "none":
        setup.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        setup.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        assert samples is not None, "int8 is calibrated"
        setup.representative_dataset = samples
        setup.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        setup.inference_input_type = tf.uint8 if integers and not takes_uint8 else tf.float32
    return setup


def samples_of(
    model: Any, examples: Arrays | None, takes: InputExport, network: str, kind: str | None = None, most: int | None = None
) -> Callable[[], Any] | None:
    """Gives examples as the converter calibrates on them: in the order of the inputs in the file that it makes.

    Args:
        network: the SavedModel that is converted.
        kind: the dtype of all arrays; None for the model's own.
        most: how many examples; None for all.
    """
    if examples is None:
        return None
    kinds = [kind or each.dtype for each in model.inputs]
    few = {name: array[:most] for name, array in examples.items()}
    order = _order(network, takes.names)

    def samples() -> Any:
        for arrays in takes.samples(few):
            cast = [array.astype(wanted) for array, wanted in zip(arrays, kinds, strict=True)]
            yield [cast[number] for number in order]

    return samples


def _order(network: str, names: Sequence[str]) -> list[int]:
    """The numbers of the inputs in the order of a converted file; a file with one input needs no trial."""
    if len(names) == 1:
        return [0]
    graph = flatbuffer.read(tried(converter(network, "none", None).convert)).subgraphs[0]
    return [names.index(plain(graph.tensors[number].name.decode())) for number in graph.inputs]


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
