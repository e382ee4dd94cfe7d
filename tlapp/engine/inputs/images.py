"""One file to one picture: a square of 8-bit RGB, whatever format, depth or orientation the file has."""

from __future__ import annotations

import errno
import io
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError

from tlapp.contracts import BadExample, ImageInput, Input, Tensor
from tlapp.engine.inputs.digits import BUILTIN, digit, listed
from tlapp.engine.inputs.formats import EXTRA, HEIF, SUFFIXES, first_bytes, heif_version, is_heic, register
from tlapp.engine.inputs.image_export import ImageExport
from tlapp.engine.inputs.shards import places
from tlapp.engine.inputs.square import orientation, square
from tlapp.engine.options import Resize, RunOptions

MOST_PIXELS = 100_000_000
VERSION = 1
"""Raise it whenever `read` gives other pixels than before: it is part of the cache's keys."""

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")
_ON_SIDE = range(5, 9)
_PASSING = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE})
_PILLOW = re.compile(r"PIL\.")


@dataclass(frozen=True)
class Images(Input):
    """Square RGB pictures from files, `size` pixels a side."""

    size: int
    resize: Resize = "squash"

    kind = "image"
    noun = "picture"
    suffixes = SUFFIXES

    @classmethod
    def of(cls, facts: ImageInput, options: RunOptions) -> Images:
        """The reader for a backbone with these facts."""
        return cls(facts.size, options.resize)

    @classmethod
    def of_model(cls, model: Any, options: RunOptions) -> Images:
        """The reader for a deployed model."""
        return cls(int(model.inputs[0].shape[1]), options.resize)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (Tensor("image", (self.size, self.size, 3), "uint8"),)

    def key(self) -> Mapping[str, Any]:
        heif = {"heif": version} if (version := heif_version()) else {}
        return {"version": VERSION, "pillow": PIL.__version__, "size": self.size, "resize": self.resize, **heif}

    def read(self, source: str) -> tuple[np.ndarray, ...]:
        if source.startswith(BUILTIN):
            return (from_array(digit(source), self.size, self.resize),)
        return (read(source, self.size, self.resize),)

    def show(self, row: Sequence[Any]) -> Image.Image:
        return Image.fromarray(np.rint(np.clip(row[0], 0, 255)).astype(np.uint8))

    def content(self, source: str) -> bytes | None:
        return digit(source).tobytes() if source.startswith(BUILTIN) else None

    def builtin(self, name: str) -> Sequence[tuple[str, str, str]] | None:
        return listed() if name == BUILTIN else None

    @property
    def export(self) -> ImageExport:
        return ImageExport(size=self.size, resize=self.resize)

    @property
    def words(self) -> str:
        return f"{self.size} x {self.size} pixels"


def read(path: str, size: int, resize: Resize = "squash", most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """The picture that `read_sized` reads."""
    return read_sized(path, size, resize, most_pixels)[0]


def read_sized(
    path: str | bytes, size: int, resize: Resize, most_pixels: int = MOST_PIXELS
) -> tuple[np.ndarray, tuple[int, int]]:
    """Read a picture, from its source or what its file holds, turn it upright and make it a square as `resize` says.

    The square is (size, size, 3) uint8; the picture's own width and height follow it.

    "squash" stretches both sides to `size`, "crop" takes the centre square of the shorter side, and "pad" fits the longer side
    and puts equal black bars beside the shorter one.

    Transparency is laid over white. 16-bit values are divided by 257, and so are 32-bit integers up to 65535. Floats are taken as
    0 to 1, 0 to 255 or 0 to 65535, whichever is the first that holds them. What exceeds these is stretched from its least to its
    greatest value. Of an animation the first frame is read. Colour profiles are ignored.

    Raises:
        BadExample: empty, not a picture, damaged, or of more than `most_pixels` pixels (told before it is decoded).
    """
    _hush()
    name = path if isinstance(path, str) else ""
    try:
        with _open(path) as image:
            width, height = image.size
            _check_pixels(name, width * height, most_pixels)
            pixels = square(image, size, resize)
            return pixels, (height, width) if orientation(image) in _ON_SIDE else (width, height)
    except BadExample:
        raise
    except Exception as error:  # Pillow raises nearly anything on a damaged file
        if isinstance(error, OSError) and error.errno in _PASSING:
            raise BadExample(name, f"cannot be opened: {error.strerror}", passing=True) from error
        if isinstance(error, MemoryError):
            raise BadExample(name, "not enough memory to decode it", passing=True) from error
        raise BadExample(name, _reason(error, most_pixels)) from error


def sides(path: str | bytes) -> tuple[int, int] | None:
    """Width and height of a picture, upright, as the header of a file or its content tells them; None where there is none."""
    _hush()
    try:
        with _open(path) as image:
            width, height = image.size
            return (height, width) if orientation(image) in _ON_SIDE else (width, height)
    except Exception:  # as in `read_sized`
        return None


def from_array(array: np.ndarray, size: int, resize: Resize = "squash") -> np.ndarray:
    """An array, (height, width) or (height, width, 3) uint8, as `read` makes it of a file: (size, size, 3) uint8."""
    return square(Image.fromarray(array), size, resize)


def _hush() -> None:
    """Silence Pillow's warnings, in whatever set of filters is in force; what matters in them is raised as BadExample."""
    if not warnings.filters or warnings.filters[0][3] != _PILLOW:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _open(path: str | bytes) -> Image.Image:
    name = path if isinstance(path, str) else ""
    content = places.content(path) if isinstance(path, str) else path
    source = path if content is None else io.BytesIO(content)
    if (os.path.getsize(path) if content is None else len(content)) == 0:
        raise BadExample(name, "empty file")
    Image.preinit()  # the common formats; for one that it does not know yet, open loads all forty
    try:
        return Image.open(source, formats=_FORMATS)
    except UnidentifiedImageError:
        if not is_heic(first_bytes(name) if content is None else content[:32]):
            raise
    if not register():
        raise BadExample(name, f"a HEIC picture: install {EXTRA} to read it, or convert it to JPEG")
    try:
        return Image.open(name if content is None else io.BytesIO(content), formats=(HEIF,))
    except UnidentifiedImageError as error:
        raise BadExample(name, "a HEIC picture, damaged or cut short") from error


def _check_pixels(path: str, pixels: int, most: int) -> None:
    if pixels > most:
        raise BadExample(path, f"{pixels / 1e6:.0f} million pixels, over the limit of {most / 1e6:g} million")


def _reason(error: Exception, most: int) -> str:
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        count = f"{int(pixels[1]) / 1e6:.0f} million pixels" if pixels else "too many pixels"
        return f"{count}, over the limit of {most / 1e6:g} million"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return f"damaged or cut short ({error})" if str(error) else "damaged or cut short"
