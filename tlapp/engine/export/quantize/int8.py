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

from tlapp.contracts.input_export import Arrays, InputExport
from tlapp.engine.export import converter
from tlapp.engine.export.formats.savedmodel import write_fixed

KNOWN = "known_"
"""What the layers behind the output `known` are called."""
PROBES = 20
"""Examples that the error of each layer is measured on."""


class Layer(NamedTuple):
    """An operation of the converted network, and the error that rounding makes there, however it is measured."""

    operation: str
    name: str
    error: float


class Int8:
    """A network calibrated once, to be quantised with any of its layers left in float.

    By TensorFlow's own debugger: it sets each int8 layer beside the same layer in float, both on the int8 network's inputs, so
    that an error is blamed on the layer that makes it and not on those behind it. It is the root mean square of the output's
    error, in steps of its int8 scale. An input of integers is uint8, cast inside.

    Args:
        calibration: examples of the training set.
        takes: the model's input.

    Raises:
        UserError: it does not convert.
    """

    def __init__(self, model: Any, calibration: Arrays, takes: InputExport):
        import tensorflow as tf

        kind = "uint8" if takes.integers else None
        with tempfile.TemporaryDirectory() as folder:
            kinds = [kind] * len(model.inputs) if kind else None
            network = write_fixed(converter.for_int8(model), Path(folder), kinds, takes)
            samples = converter.samples_of(model, calibration, takes, network, kind)
            setup = converter.converter(network, "int8", samples, takes_uint8=takes.integers, integers=takes.integers)
            # Not int8 alone: an operation that stays in float must find its kernel.
            setup.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
            probes = converter.samples_of(model, calibration, takes, network, kind, PROBES)
            with _without_warnings():
                self._debugger = converter.tried(lambda: _debugger(setup, probes))
                self._debugger.run()
        self._in_order = self._measured()

    @property
    def layers(self) -> list[Layer]:
        """Those with the largest error first."""
        return sorted(self._in_order, key=lambda layer: -layer.error)

    def in_float(self, keep: int) -> list[Layer]:
        """The `keep` worst layers, and the one before each: a layer in float still suffers from the rounding of what it reads.

        With them, all that the output `known` is made of: it is small, and a distance does not survive rounding well.
        """
        *harmed, least = self.layers  # the debugger wants one layer in int8
        worst = set(harmed[:keep])
        pairs = zip(self._in_order, [*self._in_order[1:], None], strict=True)
        return [
            layer for layer, after in pairs if layer is not least and (layer in worst or after in worst or KNOWN in layer.name)
        ]

    def convert(self, keep: int) -> bytes:
        """A TFLite file with the layers of `in_float` in float."""
        names = [layer.name for layer in self.in_float(keep)]
        with _without_warnings():
            self._debugger.options = _options(denylisted_nodes=names)
            return bytes(self._debugger.get_nondebug_quantized_model())

    def _measured(self) -> list[Layer]:
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
            self._debugger.layer_statistics_dump(file)
            file.seek(0)
            return [_layer(row) for row in csv.DictReader(file)]


def _debugger(setup: Any, samples: Any) -> Any:
    import tensorflow as tf

    return tf.lite.experimental.QuantizationDebugger(converter=setup, debug_dataset=samples, debug_options=_options())


def _options(**more: Any) -> Any:
    import tensorflow as tf

    metrics = {"mse": lambda difference: float(np.mean(np.square(difference)))}
    return tf.lite.experimental.QuantizationDebugOptions(layer_debug_metrics=metrics, **more)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Without the warning that the interpreter which the debugger opens is an old one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)
        yield


def _layer(row: dict[str, str]) -> Layer:
    return Layer(row["op_name"], row["tensor_name"], round(float(row["mse"]) ** 0.5 / float(row["scale"]), 3))
