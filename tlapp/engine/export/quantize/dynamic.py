"""Selective dynamic quantisation: the layers whose rounded weights cost most keep their weights in float."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.export import flatbuffer
from tlapp.engine.export.formats import tflite
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

    What rounding a layer costs is the root mean square change of the log probabilities when that layer alone is rounded. On 20
    pictures it ranks layers as on 100; the Kullback-Leibler divergence, which hangs on the few doubtful pictures, does not.

    Args:
        pictures: (n, size, size, 3) uint8; the first `PROBES` measure the layers.

    Raises:
        Unfit: it does not convert.
    """

    def __init__(self, model: Any, pictures: np.ndarray):
        with tempfile.TemporaryDirectory() as folder:
            network = write_fixed(model, Path(folder))
            floats, self._rounded = (
                tflite.tried(tflite.converter(network, quantize, None).convert) for quantize in ("none", "dynamic")
            )
        self._floats = _constants(flatbuffer.read(floats))
        probes = pictures[:PROBES]
        expected = _probabilities(floats, probes)
        every = _rounded(flatbuffer.read(self._rounded), self._floats)
        self._layers = [
            Layer(each.operation, each.name.decode(), _change(expected, _probabilities(self._alone(each, every), probes)))
            for each in every
        ]

    def kept(self, keep: int) -> list[Layer]:
        """The `keep` layers that rounding costs most, worst first."""
        return sorted(self._layers, key=lambda layer: -layer.error)[:keep]

    def convert(self, keep: int) -> bytes:
        """A TFLite file with the layers of `kept` in float."""
        return self._mixed({layer.name.encode() for layer in self.kept(keep)})

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

    found = {}
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if tensor.type == schema.TensorType.FLOAT32 and data is not None:
            found[tensor.name] = np.frombuffer(bytes(data), np.float32).reshape(tensor.shape)
    return found


def _rounded(model: Any, floats: dict[bytes, np.ndarray]) -> list[_Weights]:
    """The weights that are int8 in this file and known in float."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    graph, found = model.subgraphs[0], []
    for operator in graph.operators:
        kind = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        if kind not in LAYERS:
            continue
        tensor = graph.tensors[operator.inputs[1]]
        known = floats.get(tensor.name) if tensor.type == schema.TensorType.INT8 else None
        if known is not None and known.shape == tuple(tensor.shape):
            found.append(_Weights(kind, tensor.name))
    return found


def _probabilities(content: bytes, pictures: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for picture in pictures:
        interpreter.set_tensor(source["index"], picture[None].astype(np.float32))
        interpreter.invoke()
        found.append(interpreter.get_tensor(target["index"])[0])
    return np.stack(found)


def _change(expected: np.ndarray, found: np.ndarray) -> float:
    difference = np.log(np.maximum(expected, TINY)) - np.log(np.maximum(found, TINY))
    return float(np.sqrt(np.square(difference).mean()))
