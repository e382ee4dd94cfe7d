"""Ways to make pictures look otherwise: (batch, size, size, 3) float 0 to 255, a seed and, for some, the target's pictures."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def grey(pictures: Any, seed: int) -> Any:
    """Luminance alone."""
    import tensorflow as tf

    return tf.repeat(tf.image.rgb_to_grayscale(pictures), 3, axis=-1)


def blur(pictures: Any, seed: int, width: int = 5) -> Any:
    """The mean of `width` x `width` pixels."""
    import tensorflow as tf

    return tf.nn.avg_pool2d(pictures, width, 1, "SAME")


def poster(pictures: Any, seed: int) -> Any:
    """Four levels a channel, after a blur: flat areas of colour."""
    import tensorflow as tf

    return tf.round(blur(pictures, seed) / 85.0) * 85.0


def sketch(pictures: Any, seed: int) -> Any:
    """Dark edges on white, by Sobel's operator."""
    import tensorflow as tf

    edges = tf.image.sobel_edges(tf.image.rgb_to_grayscale(pictures))
    strength = tf.sqrt(tf.reduce_sum(tf.square(edges), axis=-1))
    return tf.repeat(tf.clip_by_value(255.0 - strength, 0.0, 255.0), 3, axis=-1)


def silhouette(pictures: Any, seed: int) -> Any:
    """Black where a picture is darker than a level of its own, drawn between 90 and 215, else white."""
    import tensorflow as tf

    level = tf.random.stateless_uniform((tf.shape(pictures)[0], 1, 1, 1), (seed, 2), 90.0, 215.0)
    return tf.repeat(tf.where(tf.image.rgb_to_grayscale(blur(pictures, seed)) < level, 0.0, 255.0), 3, axis=-1)


def recolour(pictures: Any, seed: int, levels: int = 5) -> Any:
    """A palette of random colours, one a level of luminance; the lightest is white."""
    import tensorflow as tf

    count = tf.shape(pictures)[0]
    grey_levels = tf.image.rgb_to_grayscale(blur(pictures, seed))[..., 0] * (levels / 256.0)
    palette = tf.random.stateless_uniform((count, levels - 1, 3), (seed, 3), 0.0, 255.0)
    palette = tf.concat([palette, tf.fill((count, 1, 3), 255.0)], axis=1)
    return tf.gather(palette, tf.cast(tf.clip_by_value(grey_levels, 0.0, levels - 1.0), tf.int32), batch_dims=1)


def jitter(pictures: Any, seed: int) -> Any:
    """Any hue, and a saturation and contrast of 0.5 to 1.5 times."""
    import tensorflow as tf

    x = tf.image.stateless_random_hue(pictures / 255.0, 0.5, (seed, 4)) * 255.0
    factors = tf.random.stateless_uniform((2, tf.shape(pictures)[0], 1, 1, 1), (seed, 5), 0.5, 1.5)
    luminance = tf.image.rgb_to_grayscale(x)
    x = luminance + (x - luminance) * factors[0]
    mean = tf.reduce_mean(x, (1, 2), keepdims=True)
    return tf.clip_by_value(mean + (x - mean) * factors[1], 0.0, 255.0)


def shrink(pictures: Any, seed: int) -> Any:
    """Each picture at 35 to 100 % of its side, anywhere on a background of the colour of its corners."""
    import tensorflow as tf

    count, shape = tf.shape(pictures)[0], pictures.shape[1:3]
    draws = tf.random.stateless_uniform((count, 3), (seed, 6))
    side = 1.0 / (0.35 + 0.65 * draws[:, 0])
    top, left = (1.0 - side) * draws[:, 1], (1.0 - side) * draws[:, 2]
    corners = tf.stack([pictures[:, 0, 0], pictures[:, 0, -1], pictures[:, -1, 0], pictures[:, -1, -1]], axis=1)
    background = tf.reduce_mean(tf.sort(corners, axis=1)[:, 1:3], axis=1)[:, None, None]
    boxes = tf.stack([top, left, top + side, left + side], axis=1)
    return tf.image.crop_and_resize(pictures - background, boxes, tf.range(count), shape) + background


def crop(pictures: Any, seed: int) -> Any:
    """A random crop of 40 to 100 % of the area, and every other picture mirrored."""
    import tensorflow as tf

    count, shape = tf.shape(pictures)[0], pictures.shape[1:3]
    draws = tf.random.stateless_uniform((count, 4), (seed, 1))
    side = tf.sqrt(0.4 + 0.6 * draws[:, 0])
    top, left = draws[:, 1] * (1.0 - side), draws[:, 2] * (1.0 - side)
    boxes = tf.stack([top, left, top + side, left + side], axis=1)
    x = tf.image.crop_and_resize(pictures, boxes, tf.range(count), shape)
    return tf.where(draws[:, 3, None, None, None] < 0.5, tf.reverse(x, [2]), x)


def randaugment(pictures: Any, seed: int) -> Any:
    """RandAugment (Cubuk et al. 2020, https://arxiv.org/abs/1909.13719), as Keras has it."""
    import keras

    return _seeded(keras.layers.RandAugment(value_range=(0, 255), seed=seed), pictures, seed)


def augmix(pictures: Any, seed: int) -> Any:
    """AugMix (Hendrycks et al. 2020, https://arxiv.org/abs/1912.02781), as Keras has it."""
    import keras

    return _seeded(keras.layers.AugMix(value_range=(0, 255), seed=seed), pictures, seed)


def _seeded(layer: Any, pictures: Any, seed: int) -> Any:
    """A Keras augmentation with Python's generator, which some of them draw from as well, seeded and then put back."""
    state = random.getstate()
    random.seed(seed)
    try:
        return layer(pictures, training=True)
    finally:
        random.setstate(state)


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


PLAIN = {
    "grey": grey, "blur": blur, "poster": poster, "sketch": sketch, "silhouette": silhouette, "recolour": recolour,
    "jitter": jitter, "shrink": shrink, "crop": crop, "randaugment": randaugment, "augmix": augmix,
}  # fmt: skip
TOWARDS_TARGET = {"colour": colour, "histogram": histogram, "fourier": fourier}
PLACES, LOOKS = ("shrink", "crop"), ("sketch", "poster", "grey")
"""What `mixed` uses."""


def mixed(pictures: Any, seed: int, copy: int) -> Any:
    """Each picture as it is, shrunk or cropped, at random; then all as they are or in one of the `LOOKS`, a copy each in turn.

    With a multiple of four copies every picture is seen in every look. On stamps, photographs to clip art, this was two points
    better than looks at random, and than silhouettes, palettes and hues among them.
    """
    import tensorflow as tf

    draws = tf.random.stateless_uniform((tf.shape(pictures)[0], 1, 1, 1), (seed, 7))
    placed = pictures
    for number, name in enumerate(PLACES, 1):
        here = tf.cast(draws * (len(PLACES) + 1), tf.int32) == number
        placed = tf.where(here, PLAIN[name](pictures, seed), placed)
    look = copy % (len(LOOKS) + 1)
    return PLAIN[LOOKS[look - 1]](placed, seed) if look else placed


@dataclass(frozen=True)
class Half:
    """Changes every other picture, chosen by the seed, and leaves the rest as they are."""

    change: Callable[..., Any]

    def __call__(self, pictures: Any, seed: int, *target: Any) -> Any:
        import tensorflow as tf

        chosen = tf.random.stateless_uniform((tf.shape(pictures)[0], 1, 1, 1), (seed, 0)) < 0.5
        return tf.where(chosen, self.change(pictures, seed, *target), pictures)
