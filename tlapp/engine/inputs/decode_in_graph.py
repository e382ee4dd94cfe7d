"""Encoded pictures to squares inside a TensorFlow graph, as near to `images.read` as its operations come."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tlapp.engine.inputs.header_in_graph import (
    begins,
    is_transparent_png,
    opaque_gif,
    orientation,
    still_webp,
)


def squares(contents: Any, size: int, resize: str = "squash") -> Any:
    """Strings of JPEG, PNG, WebP, GIF or BMP files, (n,) -> (n, size, size, 3) float32 with whole numbers 0 to 255.

    `resize`: how a picture that is not square becomes one, "squash", "crop" or "pad", as `images.read` does it.
    """
    spec = tf.TensorSpec((size, size, 3), tf.float32)
    return tf.map_fn(lambda content: square(content, size, resize), contents, fn_output_signature=spec)


def square(content: Any, size: int, resize: str = "squash") -> Any:
    """One file to (size, size, 3): decoded, laid over white, made a square with a smoothing filter, turned upright."""
    picture = _decoded(content)
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


def _decoded(content: Any) -> Any:
    """A file as RGBA, (height, width, 4) float32."""
    kinds = tf.cast(tf.stack([*(begins(content, start) for start in DECODERS), True]), tf.int32)
    decoders = [*DECODERS.values(), _other]
    first = tf.argmax(kinds, output_type=tf.int32)
    return tf.switch_case(first, [lambda decode=decode: decode(content) for decode in decoders])


def _jpeg(content: Any) -> Any:
    # The decoder that Pillow uses; TensorFlow's default is a faster and coarser one.
    return _rgba(tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"))


def _png(content: Any) -> Any:
    # Never one channel or as many as there are: the one colour or grey level that is transparent would be opaque.
    channels = tf.cond(is_transparent_png(content), lambda: tf.io.decode_png(content, 4), lambda: tf.io.decode_png(content, 3))
    return _rgba(channels)


def _gif(content: Any) -> Any:
    return _other(opaque_gif(content))


def _webp(content: Any) -> Any:
    still, free = still_webp(content)
    return tf.pad(_other(still), free)


def _bmp(content: Any) -> Any:
    """TensorFlow gives the numbers of a palette for its colours, and takes unused bytes for transparency."""
    picture, header = tf.io.decode_bmp(content), tf.cast(tf.io.decode_raw(content, tf.uint8), tf.int32)
    table = header[14 + header[14] : tf.minimum(header[10] + 256 * header[11], 14 + header[14] + 1024)]

    def looked_up() -> Any:
        return tf.gather(tf.reshape(table, (-1, 4))[:, 2::-1], tf.cast(picture[..., 0], tf.int32))

    def as_they_are() -> Any:
        channels = tf.where((header[28] == 32) & (header[30] != 0), 4, 3)
        return tf.cast(picture[..., :channels], tf.int32)

    return _rgba(tf.cond(header[28] <= 8, looked_up, as_they_are))


def _other(content: Any) -> Any:
    return _rgba(tf.io.decode_image(content, channels=0, expand_animations=False))


def _rgba(picture: Any) -> Any:
    """Pixels of one to four channels as float32 RGBA."""
    picture = tf.cast(picture, tf.float32)
    channels = tf.shape(picture)[-1]
    colour = tf.cond(channels < 3, lambda: tf.repeat(picture[..., :1], 3, -1), lambda: picture[..., :3])
    opaque = tf.fill(tf.concat([tf.shape(picture)[:2], [1]], 0), 255.0)
    alpha = tf.cond(tf.equal(channels % 2, 0), lambda: picture[..., -1:], lambda: opaque)
    return tf.concat([colour, alpha], -1)


DECODERS = {b"\xff\xd8\xff": _jpeg, b"\x89PNG": _png, b"GIF8": _gif, b"RIFF": _webp, b"BM": _bmp}
"""What a file begins with -> what decodes it."""


def turned(picture: Any, how: Any) -> Any:
    """A square turned upright, by its EXIF orientation."""
    flipped = tf.reverse(picture, [1])
    ways = (
        picture, flipped, tf.reverse(picture, [0, 1]), tf.reverse(picture, [0]), tf.transpose(picture, (1, 0, 2)),
        tf.image.rot90(picture, 3), tf.transpose(tf.reverse(picture, [0, 1]), (1, 0, 2)), tf.image.rot90(picture, 1),
    )  # fmt: skip
    return tf.gather(tf.stack(ways), how - 1)
