"""Mixed precision: live layers compute in bfloat16, what they learn stays float32 (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740).

bfloat16 has float32's range, so that no loss is scaled (Kalamkar et al. 2019, https://arxiv.org/abs/1905.12322).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

LIBRARIES = ("keras", "keras_cv", "keras_hub")
"""Whose layers compute in what their policy says; a stranger's may hold a graph of float32."""
NATIVE = (8, 0)
"""The first compute capability of NVIDIA's with bfloat16 (CUDA C++ programming guide, table "Tensor core input types")."""


def chosen(precision: str) -> str:
    """The type that live layers compute in, by the option: auto is bfloat16 where every GPU of this machine has it, if any."""
    if precision != "auto":
        return precision
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    found = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return "bfloat16" if found and min(found) >= NATIVE else "float32"


@contextmanager
def computing(operations: Iterable[Any], dtype: str) -> Iterator[None]:
    """While the block runs, these layers compute in `dtype`; their variables stay as they are.

    What scales pixels does so in float32: a mean subtracted in bfloat16 has three digits.
    """
    import keras

    if dtype == "float32":
        yield
        return
    exact = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.TFSMLayer)
    layers = {
        id(layer): layer for each in operations if isinstance(each, keras.Layer) for layer in each._flatten_layers()
        if type(layer).__module__.partition(".")[0] in LIBRARIES and not isinstance(layer, exact)
    }  # fmt: skip
    before = {key: layer.dtype_policy for key, layer in layers.items()}
    try:
        for layer in layers.values():
            layer.dtype_policy = f"mixed_{dtype}"
        yield
    finally:
        for key, layer in layers.items():
            layer.dtype_policy = before[key]
