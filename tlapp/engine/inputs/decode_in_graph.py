"""Encoded pictures to squares inside a TensorFlow graph, as near to `images.read` as its operations come."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

HEAD = 65_536
"""Bytes of a JPEG in which its EXIF block is looked for; the block cannot be longer."""


def squares(contents: Any, size: int, resize: str = "squash") -> Any:
    """Strings of JPEG, PNG, WebP, GIF or BMP files, (n,) -> (n, size, size, 3) float32 with whole numbers 0 to 255.

    `resize`: how a picture that is not square becomes one, "squash", "crop" or "pad", as `images.read` does it.
    """
    spec = tf.TensorSpec((size, size, 3), tf.float32)
    return tf.map_fn(lambda content: square(content, size, resize), contents, fn_output_signature=spec)


def square(content: Any, size: int, resize: str = "squash") -> Any:
    """One file to (size, size, 3): decoded, laid over white, made a square with a smoothing filter, turned upright."""
    picture = tf.cond(tf.io.is_jpeg(content), lambda: _jpeg(content), lambda: _other(content))
    picture.set_shape((None, None, 4))
    # Colours weigh as much as they are opaque, as in Pillow: what is transparent must not bleed into the edges.
    alpha = picture[..., 3:] / 255.0
    layers = tf.concat([picture[..., :3] * alpha, alpha], -1)
    resized = RESIZE[resize](layers, size)
    flat = resized[..., :3] + 255.0 * (1.0 - resized[..., 3:])
    framed = tf.image.resize_with_crop_or_pad(flat, size, size) if resize == "pad" else flat  # black, after white lies beneath
    upright = turned(tf.clip_by_value(tf.round(framed), 0.0, 255.0), orientation(content))
    upright.set_shape((size, size, 3))
    return upright


def _squashed(picture: Any, size: int) -> Any:
    return tf.image.resize(picture, (size, size), "bilinear", antialias=True)


def _cropped(picture: Any, size: int) -> Any:
    """The centre square; where it begins within a pixel, so does what is read."""
    shape = tf.cast(tf.shape(picture)[:2], tf.float32)
    side = tf.reduce_min(shape)
    scale = tf.repeat(float(size) / side, 2)
    cropped = tf.raw_ops.ScaleAndTranslate(
        images=picture[None], size=(size, size), scale=scale, translation=-(shape - side) / 2.0 * scale,
        kernel_type="triangle", antialias=True,
    )  # fmt: skip
    return cropped[0]


def _fitted(picture: Any, size: int) -> Any:
    """The whole picture, as large as fits; the bars beside it are equal, as `frame.bar` counts them."""
    shape = tf.shape(picture)[:2]
    long = tf.reverse(shape, [0])  # for each side, the other one: where that is longer, there are bars
    bars = tf.clip_by_value((size * (long - shape) + long) // (2 * long), 0, (size - 1) // 2)
    return tf.image.resize(picture, size - 2 * bars, "bilinear", antialias=True)


RESIZE = {"squash": _squashed, "crop": _cropped, "pad": _fitted}


def _jpeg(content: Any) -> Any:
    # The decoder that Pillow uses; TensorFlow's default is a faster and coarser one.
    rgb = tf.cast(tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"), tf.float32)
    return tf.concat([rgb, tf.fill((*tf.unstack(tf.shape(rgb)[:2]), 1), 255.0)], -1)


def _other(content: Any) -> Any:
    """Any other format, of one to four channels, as RGBA."""
    picture = tf.cast(tf.io.decode_image(content, channels=0, expand_animations=False), tf.float32)
    channels = tf.shape(picture)[-1]
    colour = tf.cond(channels < 3, lambda: tf.repeat(picture[..., :1], 3, -1), lambda: picture[..., :3])
    opaque = tf.fill(tf.concat([tf.shape(picture)[:2], [1]], 0), 255.0)
    alpha = tf.cond(tf.equal(channels % 2, 0), lambda: picture[..., -1:], lambda: opaque)
    return tf.concat([colour, alpha], -1)


def orientation(content: Any) -> Any:
    """The EXIF orientation of a JPEG, 1 to 8; 1 where it has none."""
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 0, HEAD), tf.uint8), tf.int32)
    # Zeros behind, so that a damaged block is read as one that says nothing.
    data = tf.concat([head, tf.zeros(32, tf.int32)], 0)
    exif = tf.constant(list(b"Exif\0\0"), tf.int32)
    hits = tf.reduce_all(tf.stack([data[i : tf.size(data) - 6 + i] == exif[i] for i in range(6)]), 0)
    start = tf.cast(tf.argmax(hits), tf.int32) + 6
    has_exif = tf.reduce_any(hits) & tf.io.is_jpeg(content)
    return tf.cond(has_exif, lambda: _first_directory(data, start), lambda: 1)


def _first_directory(data: Any, start: Any) -> Any:
    """The orientation in the TIFF structure that begins at `start`."""
    little = tf.equal(data[start], ord("I"))
    end = tf.size(data)

    def number(at: Any, width: int) -> Any:
        digits = tf.gather(data, tf.clip_by_value(at[..., None] + tf.range(width), 0, end - 1))
        digits = tf.cond(little, lambda: tf.reverse(digits, [-1]), lambda: digits)
        return tf.reduce_sum(digits * tf.constant([256**i for i in reversed(range(width))], tf.int32), -1)

    directory = start + tf.clip_by_value(number(start + 4, 4), 0, HEAD)
    entries = directory + 2 + 12 * tf.range(tf.minimum(number(directory, 2), 200))
    values = tf.boolean_mask(number(entries + 8, 2), tf.equal(number(entries, 2), 0x0112))
    value = tf.concat([values, [1]], 0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)


def turned(picture: Any, how: Any) -> Any:
    """A square turned upright, by its EXIF orientation."""
    flipped = tf.reverse(picture, [1])
    ways = (
        picture, flipped, tf.reverse(picture, [0, 1]), tf.reverse(picture, [0]), tf.transpose(picture, (1, 0, 2)),
        tf.image.rot90(picture, 3), tf.transpose(tf.reverse(picture, [0, 1]), (1, 0, 2)), tf.image.rot90(picture, 1),
    )  # fmt: skip
    return tf.gather(tf.stack(ways), how - 1)
