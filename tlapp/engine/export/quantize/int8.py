"""Selective int8: the layers that suffer most from int8 stay in float; everything else is int8."""

from __future__ import annotations

import csv
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.export.formats import tflite
from tlapp.engine.export.formats.savedmodel import write_fixed

PROBES = 20
"""Pictures that the error of each layer is measured on."""


class Layer(NamedTuple):
    """An operation of the converted network, and the error that rounding makes there, however it is measured."""

    operation: str
    name: str
    error: float


class Selective:
    """A network calibrated once, to be quantised with any of its layers left in float.

    By TensorFlow's own debugger: it sets each int8 layer beside the same layer in float, both on the int8 network's inputs, so
    that an error is blamed on the layer that makes it and not on those behind it. It is the root mean square of the output's
    error, in steps of its int8 scale. The input is uint8, cast inside.

    Args:
        calibration: pictures (n, size, size, 3) uint8.

    Raises:
        UserError: it does not convert.
    """

    def __init__(self, model: Any, calibration: np.ndarray):
        import tensorflow as tf

        with tempfile.TemporaryDirectory() as folder:
            network = write_fixed(tflite.for_int8(model), Path(folder), "uint8")
            converter = tflite.converter(network, "int8", calibration, takes_uint8=True)
            # Not int8 alone: an operation that stays in float must find its kernel.
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
            with _hushed():
                self._debugger = tflite.tried(lambda: self._open(converter, calibration[:PROBES]))
                self._debugger.run()
        self._in_order = self._measured()

    @property
    def layers(self) -> list[Layer]:
        """Those with the largest error first."""
        return sorted(self._in_order, key=lambda layer: -layer.error)

    def kept(self, keep: int) -> list[Layer]:
        """The `keep` worst layers, and the one before each: a layer in float still suffers from the rounding of what it reads."""
        *harmed, least = self.layers  # the debugger wants one layer in int8
        worst = set(harmed[:keep])
        pairs = zip(self._in_order, [*self._in_order[1:], None], strict=True)
        return [layer for layer, after in pairs if layer is not least and (layer in worst or after in worst)]

    def convert(self, keep: int) -> bytes:
        """A TFLite file with the layers of `kept` in float."""
        names = [layer.name for layer in self.kept(keep)]
        with _hushed():
            self._debugger.options = _options(denylisted_nodes=names)
            return bytes(self._debugger.get_nondebug_quantized_model())

    def _open(self, converter: Any, pictures: np.ndarray) -> Any:
        import tensorflow as tf

        return tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=lambda: tflite.samples(pictures, np.uint8), debug_options=_options()
        )

    def _measured(self) -> list[Layer]:
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
            self._debugger.layer_statistics_dump(file)
            file.seek(0)
            return [_layer(row) for row in csv.DictReader(file)]


def _options(**more: Any) -> Any:
    import tensorflow as tf

    metrics = {"mse": lambda difference: float(np.mean(np.square(difference)))}
    return tf.lite.experimental.QuantizationDebugOptions(layer_debug_metrics=metrics, **more)


@contextmanager
def _hushed() -> Iterator[None]:
    """Without the warning that the interpreter which the debugger opens is an old one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)
        yield


def _layer(row: dict[str, str]) -> Layer:
    return Layer(row["op_name"], row["tensor_name"], round(float(row["mse"]) ** 0.5 / float(row["scale"]), 3))
