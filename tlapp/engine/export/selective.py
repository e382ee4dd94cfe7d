"""Selective int8: the layers that suffer most from int8 stay in float; everything else is int8."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.export import tflite
from tlapp.engine.export.saved_model import write_fixed

PROBES = 20
"""Pictures that the error of each layer is measured on."""


class Layer(NamedTuple):
    """An operation of the converted network. `error` is its output's root mean square error, in steps of its int8 scale."""

    operation: str
    name: str
    error: float


class Selective:
    """A network calibrated once, to be quantised with any of its layers left in float.

    By TensorFlow's own debugger: it sets each int8 layer beside the same layer in float, both on the int8 network's inputs, so
    that an error is blamed on the layer that makes it and not on those behind it. The input is uint8, cast inside.

    Args:
        calibration: pictures (n, size, size, 3) uint8.

    Raises:
        UserError: it does not convert.
    """

    def __init__(self, model: Any, calibration: np.ndarray):
        import tensorflow as tf

        with tempfile.TemporaryDirectory() as folder:
            # Without int8 alone: an operation that stays in float must find its kernel.
            converter = tflite.converter(
                write_fixed(tflite.for_int8(model), Path(folder), "uint8"), "int8", calibration, takes_uint8=True
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
            metrics = {"mse": lambda difference: float(np.mean(np.square(difference)))}
            self._metrics, self._options = metrics, tf.lite.experimental.QuantizationDebugOptions
            self._debugger = tflite.tried(
                lambda: tf.lite.experimental.QuantizationDebugger(
                    converter=converter,
                    debug_dataset=lambda: tflite.samples(calibration[:PROBES], np.uint8),
                    debug_options=self._options(layer_debug_metrics=metrics),
                )
            )
        self._debugger.run()
        self._in_order = self._measured()

    @property
    def layers(self) -> list[Layer]:
        """Those with the largest error first."""
        return sorted(self._in_order, key=lambda layer: -layer.error)

    def kept(self, keep: int) -> list[Layer]:
        """The `keep` worst layers, and the one before each: a layer in float still suffers from the rounding of what it reads."""
        worst = set(self.layers[:keep])
        pairs = zip(self._in_order, [*self._in_order[1:], None], strict=True)
        return [layer for layer, after in pairs if layer in worst or after in worst]

    def convert(self, keep: int) -> bytes:
        """A TFLite file with the layers of `kept` in float."""
        names = [layer.name for layer in self.kept(keep)]
        self._debugger.options = self._options(layer_debug_metrics=self._metrics, denylisted_nodes=names)
        return bytes(self._debugger.get_nondebug_quantized_model())

    def _measured(self) -> list[Layer]:
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
            self._debugger.layer_statistics_dump(file)
            file.seek(0)
            return [_layer(row) for row in csv.DictReader(file)]


def _layer(row: dict[str, str]) -> Layer:
    return Layer(row["op_name"], row["tensor_name"], round(float(row["mse"]) ** 0.5 / float(row["scale"]), 3))
