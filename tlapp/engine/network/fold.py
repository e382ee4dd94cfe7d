"""Fold a frozen batch norm into the convolution before it: one pass over the activations less, forward and backward.

For y = gamma (conv(x, w) + b - mean) / sqrt(variance + epsilon) + beta, with s = gamma / sqrt(variance + epsilon):
y = conv(x, s w) + s (b - mean) + beta. The convolution's own kernel w stays the variable that learns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tlapp.contracts.graph import Step

Call = Callable[[Step, dict[int, Any]], Sequence[Any]]


def fold(steps: Sequence[Step], needed: Iterable[Any], frozen: Callable[[Any], bool], call: Call) -> Call:
    """A `call` for `replay` that runs each convolution and the frozen batch norm after it as one.

    Args:
        steps: what will be replayed.
        kept: symbolic tensors that must be computed as they are.
        frozen: batch-norm layer -> whether it runs on its stored statistics.
        call: runs every other step.
    """
    norms = {key: norm for key, norm in _pairs(steps, needed).items() if frozen(norm)}

    def folded(step: Step, values: dict[int, Any]) -> Sequence[Any]:
        if id(step.outputs[0]) in norms:
            return [convolve(step.operation, norms[id(step.outputs[0])], values[id(step.inputs[0])])]
        if id(step.inputs[0]) in norms:
            return [values[id(step.inputs[0])]]
        return call(step, values)

    return folded


def _pairs(steps: Sequence[Step], needed: Iterable[Any]) -> dict[int, Any]:
    """Convolution's output's id -> the batch norm that reads it, where nothing else does."""
    import keras

    readers: dict[int, list[Step]] = {}
    for step in steps:
        for tensor in step.inputs:
            readers.setdefault(id(tensor), []).append(step)
    keep = {id(tensor) for tensor in needed}
    pairs = {}
    for step in steps:
        output = step.outputs[0]
        after = readers.get(id(output), [])
        if _is_plain_convolution(step.operation) and id(output) not in keep and len(after) == 1:
            norm = after[0].operation
            if isinstance(norm, keras.layers.BatchNormalization) and norm.axis in (-1, 3):
                pairs[id(output)] = norm
    return pairs


def _is_plain_convolution(operation: Any) -> bool:
    import keras

    return (
        type(operation) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and operation.activation is keras.activations.linear
        and operation.data_format == "channels_last"
        and operation.dtype_policy.name == "float32"
        and len(set(operation.strides)) == 1
    )


def convolve(layer: Any, norm: Any, x: Any) -> Any:
    """A convolution and its frozen batch norm: (batch, height, width, channels) -> the norm's output."""
    import keras
    import tensorflow as tf

    scale = tf.math.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.gamma is not None:
        scale = scale * norm.gamma
    shift = -norm.moving_mean * scale
    if norm.beta is not None:
        shift = shift + norm.beta
    if layer.bias is not None:
        shift = shift + layer.bias * scale
    x = tf.cast(x, layer.compute_dtype)
    padding, strides, dilations = layer.padding.upper(), list(layer.strides), list(layer.dilation_rate)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel = layer.kernel * tf.reshape(scale, (1, 1, *layer.kernel.shape[2:]))
        y = tf.nn.depthwise_conv2d(x, tf.cast(kernel, x.dtype), [1, *strides, 1], padding, dilations=dilations)
    else:
        y = tf.nn.conv2d(x, tf.cast(layer.kernel * scale, x.dtype), strides, padding, dilations=dilations)
    return tf.nn.bias_add(y, tf.cast(shift, x.dtype))
