"""Ways to make pictures look otherwise: (batch, size, size, 3) float 0 to 255, a seed and, for some, the target's pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def grey(pictures: Any, seed: int) -> Any:
    """Luminance alone."""
    import tensorflow as tf

    return tf.repeat(tf.image.rgb_to_grayscale(pictures), 3, axis=-1)


def poster(pictures: Any, seed: int) -> Any:
    """Four levels a channel, after a blur: flat areas of colour."""
    import tensorflow as tf

    smooth = tf.nn.avg_pool2d(pictures, 5, 1, "SAME")
    return tf.round(smooth / 85.0) * 85.0


def sketch(pictures: Any, seed: int) -> Any:
    """Dark edges on white, by Sobel's operator."""
    import tensorflow as tf

    edges = tf.image.sobel_edges(tf.image.rgb_to_grayscale(pictures))
    strength = tf.sqrt(tf.reduce_sum(tf.square(edges), axis=-1))
    return tf.repeat(tf.clip_by_value(255.0 - strength, 0.0, 255.0), 3, axis=-1)


def colour(pictures: Any, seed: int, target: Any) -> Any:
    """Each channel's mean and deviation as in a target picture (Reinhard et al. 2001, https://doi.org/10.1109/38.946629)."""
    import tensorflow as tf

    (mean, variance), (wanted, spread) = (tf.nn.moments(each, (1, 2), keepdims=True) for each in (pictures, target))
    moved = (pictures - mean) * tf.sqrt((spread + 1e-3) / (variance + 1e-3)) + wanted
    return tf.clip_by_value(moved, 0.0, 255.0)


def histogram(pictures: Any, seed: int, target: Any) -> Any:
    """Each channel's histogram as in a target picture: the k-th darkest pixel takes its k-th darkest value."""
    import tensorflow as tf

    shape = tf.shape(pictures)
    flat, wanted = (tf.reshape(tf.transpose(each, (0, 3, 1, 2)), (shape[0], 3, -1)) for each in (pictures, target))
    ranks = tf.argsort(tf.argsort(flat, stable=True))
    matched = tf.gather(tf.sort(wanted), ranks, batch_dims=2)
    return tf.transpose(tf.reshape(matched, (shape[0], 3, shape[1], shape[2])), (0, 2, 3, 1))


def fourier(pictures: Any, seed: int, target: Any, share: float = 0.05) -> Any:
    """Low frequencies' amplitudes of a target picture (FDA: Yang & Soatto 2020, https://arxiv.org/abs/2004.05498)."""
    import tensorflow as tf

    ours, theirs = (tf.signal.fft2d(tf.cast(tf.transpose(each, (0, 3, 1, 2)), tf.complex64)) for each in (pictures, target))
    size = pictures.shape[1]
    reach = tf.minimum(tf.range(size), size - tf.range(size))
    low = tf.cast(tf.maximum(reach[:, None], reach[None]) <= int(share * size), tf.float32)
    amplitude = tf.abs(theirs) * low + tf.abs(ours) * (1.0 - low)
    mixed = tf.cast(amplitude, tf.complex64) * tf.exp(tf.complex(0.0, tf.math.angle(ours)))
    changed = tf.transpose(tf.math.real(tf.signal.ifft2d(mixed)), (0, 2, 3, 1))
    return tf.clip_by_value(changed, 0.0, 255.0)


PLAIN = {"grey": grey, "poster": poster, "sketch": sketch}
TOWARDS_TARGET = {"colour": colour, "histogram": histogram, "fourier": fourier}


@dataclass(frozen=True)
class Half:
    """Changes every other picture, chosen by the seed, and leaves the rest as they are."""

    change: Callable[..., Any]

    def __call__(self, pictures: Any, seed: int, *target: Any) -> Any:
        import tensorflow as tf

        chosen = tf.random.stateless_uniform((tf.shape(pictures)[0], 1, 1, 1), (seed, 0)) < 0.5
        return tf.where(chosen, self.change(pictures, seed, *target), pictures)
