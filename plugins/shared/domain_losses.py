"""Losses that bring two domains together, each as its formula; tensors are (batch, ...) and results scalars."""

from __future__ import annotations

from typing import Any


def ramp(progress: Any, steepness: float = 10.0) -> Any:
    """2 / (1 + exp(-steepness p)) - 1: from 0 to 1 through the phase (Ganin et al. 2016, https://arxiv.org/abs/1505.07818)."""
    import keras

    return 2.0 / (1.0 + keras.ops.exp(-steepness * progress)) - 1.0


def standardise(features: Any) -> Any:
    """Features (batch, size) less the batch's mean, over its deviation: a source's, where the network keeps the target's."""
    import keras

    mean, variance = keras.ops.moments(features, axes=0)
    return (features - mean) / keras.ops.sqrt(variance + 1e-5)


def reverse(x: Any, factor: Any) -> Any:
    """x itself, with a gradient that is -factor times what comes back (Ganin et al. 2016)."""
    import keras

    return keras.ops.stop_gradient(x * (1.0 + factor)) - factor * x


def outer(features: Any, probabilities: Any) -> Any:
    """(batch, size) and (batch, classes) -> (batch, size * classes): what CDAN's domain classifier sees.

    Long et al. 2018, https://arxiv.org/abs/1705.10667; the probabilities are not trained through.
    """
    import keras

    product = features[:, :, None] * keras.ops.stop_gradient(probabilities)[:, None, :]
    return keras.ops.reshape(product, (-1, features.shape[1] * probabilities.shape[1]))


def domain_loss(source: Any, target: Any) -> Any:
    """Binary cross-entropy of a domain classifier's logits (batch, 1): the source is 1, the target 0."""
    import keras

    softplus = keras.ops.softplus
    return (keras.ops.mean(softplus(-source)) + keras.ops.mean(softplus(target))) / 2.0


def domain_accuracy(source: Any, target: Any) -> Any:
    """Share of both batches that a domain classifier's logits place rightly; 0.5 is what adaptation aims at."""
    import keras

    right = [keras.ops.mean(keras.ops.cast(logits > 0, "float32")) for logits in (source, -target)]
    return (right[0] + right[1]) / 2.0


def entropy(probabilities: Any) -> Any:
    """-sum p log p of each row, (batch,), in nats."""
    import keras

    return -keras.ops.sum(probabilities * keras.ops.log(probabilities + 1e-9), axis=-1)


def class_confusion(logits: Any, temperature: float = 2.5) -> Any:
    """Minimum class confusion (Jin et al. 2020, https://arxiv.org/abs/1912.03699).

    C = P^T diag(w) P with P = softmax(logits / T) and w = batch (1 + exp(-H(p))) / sum; rows of C are normalised; the mean over
    the classes of what lies off its diagonal.
    """
    import keras

    ops = keras.ops
    p = ops.softmax(logits / temperature)
    weight = 1.0 + ops.exp(-entropy(p))
    weight = ops.stop_gradient(weight / ops.mean(weight))
    confusion = ops.matmul(ops.transpose(p * weight[:, None]), p)
    confusion = confusion / ops.sum(confusion, axis=1, keepdims=True)
    return (ops.sum(confusion) - ops.trace(confusion)) / logits.shape[1]


def correlation_distance(source: Any, target: Any) -> Any:
    """CORAL: |C_s - C_t|^2_F / (4 d^2) of the covariances of features (Sun & Saenko 2016, https://arxiv.org/abs/1607.01719)."""
    import keras

    difference = _covariance(source) - _covariance(target)
    return keras.ops.sum(keras.ops.square(difference)) / (4.0 * source.shape[1] ** 2)


def _covariance(features: Any) -> Any:
    import keras

    centred = features - keras.ops.mean(features, axis=0)
    return keras.ops.matmul(keras.ops.transpose(centred), centred) / keras.ops.cast(keras.ops.shape(features)[0] - 1, "float32")
