"""Selective dynamic quantisation: the layers whose rounded weights cost most keep their weights in float."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts.input_export import Arrays, InputExport
from tlapp.engine.export import converter, flatbuffer, interpreter
from tlapp.engine.export.formats.artifact import blocks
from tlapp.engine.export.formats.savedmodel import write_fixed
from tlapp.engine.export.quantize.int8 import PROBES, Layer

LAYERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
"""Operations that take their weights as int8 or as float."""
TINY = 1e-9


class _Weights(NamedTuple):
    """What an operation's weights are called, in both files."""

    operation: str
    name: bytes


class Dynamic:
    """A network converted with float weights and with int8 ones, to be mixed layer by layer.

    What rounding a layer costs is the root mean square change of the log probabilities, or of the numbers that the model answers,
    when that layer alone is rounded. On 20
    pictures it ranks layers as on 100; the Kullback-Leibler divergence, which hangs on the few doubtful pictures, does not.

    Args:
        examples: of the training set; the first `PROBES` measure the layers.
        takes: the model's input.

    Raises:
        Unfit: it does not convert.
    """

    def __init__(self, model: Any, examples: Arrays, takes: InputExport):
        with tempfile.TemporaryDirectory() as folder:
            network = write_fixed(model, Path(folder), takes=takes)
            floats, self._rounded = (
                converter.tried(converter.converter(network, quantize, None).convert) for quantize in ("none", "dynamic")
            )
        self._floats = _constants(flatbuffer.read(floats))
        probes = {name: array[:PROBES] for name, array in examples.items()}
        answers = _logs if "probabilities" in model.output_names else _numbers
        expected = answers(floats, probes)
        every = _rounded(flatbuffer.read(self._rounded), self._floats)
        self._layers = [
            Layer(each.operation, each.name.decode(), _change(expected, answers(self._alone(each, every), probes)))
            for each in every
        ]

    def in_float(self, keep: int) -> list[Layer]:
        """The `keep` layers that rounding costs most, worst first."""
        return sorted(self._layers, key=lambda layer: -layer.error)[:keep]

    def convert(self, keep: int) -> bytes:
        """A TFLite file with the layers of `in_float` in float."""
        return self._mixed({layer.name.encode() for layer in self.in_float(keep)})

    def _alone(self, layer: _Weights, every: Collection[_Weights]) -> bytes:
        """The network with one layer rounded."""
        return self._mixed({each.name for each in every} - {layer.name})

    def _mixed(self, names: Collection[bytes]) -> bytes:
        """The rounded file with some weights in float; what nothing refers to any more is left out."""
        from tensorflow.lite.python import schema_py_generated as schema

        model = flatbuffer.read(self._rounded)
        for tensor in model.subgraphs[0].tensors:
            if tensor.name in names:
                buffer = schema.BufferT()
                buffer.data = self._floats[tensor.name].view(np.uint8).ravel()
                tensor.type, tensor.quantization, tensor.buffer = schema.TensorType.FLOAT32, None, len(model.buffers)
                model.buffers.append(buffer)
        used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
        used |= {entry.buffer for entry in model.metadata or ()}
        for number, buffer in enumerate(model.buffers):
            if number not in used:
                buffer.data = None
        return flatbuffer.write(model)


def _constants(model: Any) -> dict[bytes, np.ndarray]:
    """Name -> value of the float constants in a file."""
    from tensorflow.lite.python import schema_py_generated as schema

    constants = {}
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if tensor.type == schema.TensorType.FLOAT32 and data is not None:
            constants[tensor.name] = np.frombuffer(bytes(data), np.float32).reshape(tensor.shape)
    return constants


def _rounded(model: Any, floats: dict[bytes, np.ndarray]) -> list[_Weights]:
    """The weights that are int8 in this file and known in float."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    graph, layers = model.subgraphs[0], []
    for operator in graph.operators:
        kind = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        if kind not in LAYERS:
            continue
        tensor = graph.tensors[operator.inputs[1]]
        known = floats.get(tensor.name) if tensor.type == schema.TensorType.INT8 else None
        if known is not None and known.shape == tuple(tensor.shape):
            layers.append(_Weights(kind, tensor.name))
    return layers


def _numbers(content: bytes, examples: Arrays) -> np.ndarray:
    """What a file answers, (n, classes)."""
    classify = interpreter.classifier(content=content)
    return np.stack([classify(one) for one in blocks(examples, 1)])


def _logs(content: bytes, examples: Arrays) -> np.ndarray:
    """The logarithms of what a file answers, (n, classes)."""
    return np.log(np.maximum(_numbers(content, examples), TINY))


def _change(expected: np.ndarray, answers: np.ndarray) -> float:
    return float(np.sqrt(np.square(expected - answers).mean()))
