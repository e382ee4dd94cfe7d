"""Folders and tables of tiny images, all different, and what comes of loading them."""

import os
import struct
import zlib

import numpy as np
from PIL import Image

from tlapp.engine.data import streams
from tlapp.engine.inputs.images import Images
from tlapp.engine.options import RunOptions

SIZE = 32


def pictures(folder, count, seed=0, suffix="png"):
    """Tiny pictures 1, 2, ..., all different."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, zlib.crc32(str(folder.name).encode())])
    for i in range(1, count + 1):
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(folder / f"{i}.{suffix}")
    return folder


def two_classes(folder, count=10, seed=0):
    for name in ("cats", "dogs"):
        pictures(folder / name, count, seed)
    return folder


def table(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def load(where, report=None, **options):
    return streams.load(
        RunOptions(**{"data": str(where), **{name: str(value) for name, value in options.items()}}), Images(SIZE), report
    )


def sizes(dataset):
    return {name: len(stream) for name, stream in dataset.streams.items()}


def names(stream, base):
    return {os.path.relpath(file, base).replace(os.sep, "/") for file in stream.files}


def png(width, height, rows=b""):
    """A PNG of 8-bit grey with the header told, whatever its content."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def spoil(root):
    for i, content in enumerate((b"", b"text", png(20_000, 20_000), *(b"no",) * 4)):
        (root / "dogs" / f"bad{i}.jpg").write_bytes(content)
    return root
