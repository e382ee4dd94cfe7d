"""What the bytes of an encoded picture say besides its pixels, read inside a TensorFlow graph: turn, transparency, animation."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

JPEG, PNG, RIFF = b"\xff\xd8\xff", b"\x89PNG", b"RIFF"
HEAD = 65_536
"""Bytes of a JPEG in which its EXIF block is looked for, and the most that such a block has."""


def begins(content: Any, start: bytes) -> Any:
    """Whether a file begins with these bytes."""
    return tf.strings.substr(content, 0, len(start)) == start


def orientation(content: Any) -> Any:
    """The EXIF orientation of a JPEG, PNG or WebP file, 1 to 8; 1 where it has none."""
    marker = tf.where(begins(content, PNG), b"eXIf", tf.where(begins(content, RIFF), b"EXIF", b"Exif\0\0"))
    where = tf.where(begins(content, JPEG), tf.strings.substr(content, 0, HEAD), content)
    skipped = tf.strings.length(marker) + tf.where(begins(content, RIFF), 4, 0)  # the chunk's length
    block = tf.strings.substr(where, _end(where, _first(where, marker) + skipped), HEAD)
    block = tf.strings.regex_replace(block, rb"\AExif\x00\x00", b"")
    # Zeros behind, so that a damaged block is read as one that says nothing.
    return _first_directory(tf.concat([_numbers(block), tf.zeros(32, tf.int32)], 0))


def _first(content: Any, part: Any) -> Any:
    """Where a part of a file begins; its length where there is none."""
    return tf.strings.length(tf.strings.split(content, part)[0])


def _end(content: Any, at: Any) -> Any:
    return tf.minimum(at, tf.strings.length(content))


def _numbers(content: Any) -> Any:
    return tf.cast(tf.io.decode_raw(content, tf.uint8), tf.int32)


def _first_directory(data: Any) -> Any:
    """The orientation in a TIFF structure."""
    little = tf.equal(data[0], ord("I"))
    end = tf.size(data)

    def number(at: Any, width: int) -> Any:
        digits = tf.gather(data, tf.clip_by_value(at[..., None] + tf.range(width), 0, end - 1))
        digits = tf.cond(little, lambda: tf.reverse(digits, [-1]), lambda: digits)
        return tf.reduce_sum(digits * tf.constant([256**i for i in reversed(range(width))], tf.int32), -1)

    directory = tf.clip_by_value(number(tf.constant(4), 4), 0, HEAD)
    entries = directory + 2 + 12 * tf.range(tf.minimum(number(directory, 2), 200))
    values = tf.boolean_mask(number(entries + 8, 2), tf.equal(number(entries, 2), 0x0112))
    value = tf.concat([values, [1]], 0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)


def is_transparent_png(content: Any) -> Any:
    """Whether a PNG file has an alpha channel, or colours that are transparent."""
    return (_first(content, b"tRNS") < tf.strings.length(content)) | (_numbers(content)[25] >= 4)


def opaque_gif(content: Any) -> Any:
    """A GIF file whose first frame has white where it was transparent; TensorFlow paints that black."""
    data = tf.concat([_numbers(content), tf.zeros(16, tf.int32)], 0)
    table = tf.where(data[10] >= 128, 3 * 2 ** (data[10] % 8 + 1), 0)

    def step(at: Any, inside: Any, control: Any) -> Any:
        """Over the start of an extension, or over a block inside one."""
        found = tf.where(~inside & (data[at + 1] == 0xF9), at, control)
        return _end(content, at + tf.where(inside, data[at] + 1, 2)), ~inside | (data[at] > 0), found

    def more(at: Any, inside: Any, control: Any) -> Any:
        return (at < tf.strings.length(content)) & (inside | (data[at] == ord("!")))

    frame, _, control = tf.while_loop(more, step, (13 + table, False, 0))
    colours = tf.where(data[frame + 9] >= 128, frame + 10, 13)  # the frame's own table, or the one for all
    transparent = (control > 0) & (data[control + 3] % 2 == 1)
    painted = _replaced(_replaced(content, colours + 3 * data[control + 6], b"\xff\xff\xff"), control + 3, b"\0")
    return tf.where(transparent, painted, content)


def still_webp(content: Any) -> tuple[Any, Any]:
    """A WebP file with the first frame of an animation alone, as on animations TensorFlow fails or ends the process; and the rows
    and columns that the frame leaves free, ((above, below), (left, right), (0, 0)).
    """
    frame = _end(content, _first(content, b"ANMF") + 24)
    head, facts = tf.strings.substr(content, 0, 12), tf.strings.substr(content, _end(content, frame - 16), 12)
    rest, cut = tf.strings.substr(content, frame, -1), tf.strings.substr(content, 0, tf.maximum(frame - 30, 0))
    header = [head, b"VP8X\x0a\0\0\0\x10\0\0\0", tf.strings.substr(facts, 6, 6)]
    still = tf.strings.join([*header, rest, cut])  # bytes behind it, for the length in its head to stay right
    data = tf.concat([_numbers(tf.strings.substr(content, 0, 30)), tf.zeros(30, tf.int32)], 0)
    animated = begins(tf.strings.substr(content, 12, 4), b"VP8X") & (data[20] // 2 % 2 == 1)
    left, top, width, height = _triples(_numbers(facts), 4)
    most = _triples(data[24:30], 2)
    free = tf.stack([[2 * top, most[1] - height - 2 * top], [2 * left, most[0] - width - 2 * left], [0, 0]])
    return tf.where(animated, still, content), tf.where(animated, tf.maximum(free, 0), 0)


def _triples(data: Any, count: int) -> list[Any]:
    """Numbers of three bytes each."""
    padded = tf.concat([data, tf.zeros(3 * count, tf.int32)], 0)
    return tf.unstack(tf.linalg.matvec(tf.reshape(padded[: 3 * count], (count, 3)), [1, 256, 65_536]))


def _replaced(content: Any, at: Any, part: bytes) -> Any:
    """A file with other bytes at a place; at is brought inside it."""
    start = tf.strings.substr(content, 0, _end(content, at))
    return tf.strings.join([start, part, tf.strings.substr(content, _end(content, at + len(part)), -1)])
