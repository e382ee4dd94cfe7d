"""One file to one picture: a square of 8-bit RGB, whatever format, depth or orientation the file has."""

from __future__ import annotations

import errno
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError

from tlapp.contracts import BadExample, ImageInput, Input, Tensor
from tlapp.engine.inputs.digits import BUILTIN, digit, listed
from tlapp.engine.inputs.formats import EXTRA, HEIF, SUFFIXES, first_bytes, heif_version, is_heic, register
from tlapp.engine.inputs.frame import Frame
from tlapp.engine.inputs.image_export import ImageExport
from tlapp.engine.options import Resize, RunOptions

MOST_PIXELS = 100_000_000
VERSION = 1
"""Raise it whenever `read` gives other pixels than before: it is part of the cache's keys."""

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")
_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_ON_SIDE = range(5, 9)
_ORIENTATION = 0x0112
_PASSING = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE})
_BAND = 1 << 20
"""Pixels of more than 8 bits that are scaled at a time."""
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


def read_sized(path: str, size: int, resize: Resize, most_pixels: int = MOST_PIXELS) -> tuple[np.ndarray, tuple[int, int]]:
    """Read a picture, turn it upright and make it a square as `resize` says: (size, size, 3) uint8; and its width and height.

    "squash" stretches both sides to `size`, "crop" takes the centre square of the shorter side, and "pad" fits the longer side
    and puts equal black bars beside the shorter one.

    Transparency is laid over white. 16-bit values are divided by 257, and so are 32-bit integers up to 65535. Floats are taken as
    0 to 1, 0 to 255 or 0 to 65535, whichever is the first that holds them. What exceeds these is stretched from its least to its
    greatest value. Of an animation the first frame is read. Colour profiles are ignored.

    Raises:
        BadExample: empty, not a picture, damaged, or of more than `most_pixels` pixels (told before it is decoded).
    """
    _hush()
    try:
        with _open(path) as image:
            width, height = image.size
            _check_pixels(path, width * height, most_pixels)
            frame = Frame.of(image.size, size, resize)
            # A JPEG is decoded at the least scale that keeps twice the size.
            image.draft(None, (2 * frame.width, 2 * frame.height))
            image.load()
            square = _square(image, frame)
            orientation = _orientation(image)
    except BadExample:
        raise
    except Exception as error:  # Pillow raises nearly anything on a damaged file
        if isinstance(error, OSError) and error.errno in _PASSING:
            raise BadExample(path, f"cannot be opened: {error.strerror}", passing=True) from error
        if isinstance(error, MemoryError):
            raise BadExample(path, "not enough memory to decode it", passing=True) from error
        raise BadExample(path, _reason(path, error)) from error
    upright = square.transpose(_TURNS[orientation]) if orientation in _TURNS else square
    return np.asarray(upright), (height, width) if orientation in _ON_SIDE else (width, height)


def from_array(array: np.ndarray, size: int, resize: Resize = "squash") -> np.ndarray:
    """An array, (height, width) or (height, width, 3) uint8, as `read` makes it of a file: (size, size, 3) uint8."""
    image = Image.fromarray(array)
    return np.asarray(_square(image, Frame.of(image.size, size, resize)))


def _hush() -> None:
    """Silence Pillow's warnings, in whatever set of filters is in force; what matters in them is raised as BadExample."""
    if not warnings.filters or warnings.filters[0][3] != _PILLOW:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _open(path: str) -> Image.Image:
    if os.path.getsize(path) == 0:
        raise BadExample(path, "empty file")
    try:
        return Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        if not is_heic(first_bytes(path)):
            raise
    if not register():
        raise BadExample(path, f"a HEIC picture: install {EXTRA} to read it, or convert it to JPEG")
    try:
        return Image.open(path, formats=(HEIF,))
    except UnidentifiedImageError as error:
        raise BadExample(path, "a HEIC picture, damaged or cut short") from error


def _check_pixels(path: str, pixels: int, most: int) -> None:
    if pixels > most:
        raise BadExample(path, f"{pixels / 1e6:.0f} million pixels, over the limit of {most / 1e6:g} million")


def _reason(path: str, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        count = f"{int(pixels[1]) / 1e6:.0f} million pixels" if pixels else "too many pixels"
        return f"{count}, over the limit of {MOST_PIXELS / 1e6:g} million"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return f"damaged or cut short ({error})" if str(error) else "damaged or cut short"


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block does not spoil the picture
        return 1


def _square(image: Image.Image, frame: Frame) -> Image.Image:
    """A decoded picture of any mode in its frame, with black bars beside it where it does not fill the square; mode RGB."""
    content = _rgb(image, frame)
    if content.size == (frame.size, frame.size):
        return content
    square = Image.new("RGB", (frame.size, frame.size))
    square.paste(content, ((frame.size - frame.width) // 2, (frame.size - frame.height) // 2))
    return square


def _rgb(image: Image.Image, frame: Frame) -> Image.Image:
    """A decoded picture of any mode, resized to its frame: mode RGB."""
    if image.mode.startswith(("I", "F")):
        return _resized(Image.fromarray(_eight_bits(np.asarray(image))), frame).convert("RGB")
    if image.mode in _ALPHA or "transparency" in image.info:
        content = _resized(image.convert("RGBA"), frame)
        return Image.alpha_composite(Image.new("RGBA", content.size, "white"), content).convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    return _resized(image if image.mode in ("L", "RGB") else image.convert("RGB"), frame).convert("RGB")


def _resized(image: Image.Image, frame: Frame) -> Image.Image:
    if image.size == (frame.width, frame.height):
        return image
    box = frame.box(image.size)
    return image.resize((frame.width, frame.height), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Scale values of more than 8 bits to uint8, as `read` says; some rows at a time, as the numbers between take much room."""
    step = max(1, _BAND // max(1, values.shape[1]))
    bands = [slice(at, at + step) for at in range(0, len(values), step)]
    scale = _scale(values, bands)
    scaled = np.empty(values.shape, np.uint8)
    for band in bands:
        scaled[band] = scale(values[band])
    return scaled


def _scale(values: np.ndarray, bands: list[slice]) -> Callable[[np.ndarray], np.ndarray]:
    """What scales some of the values to uint8."""
    if values.dtype.itemsize == 2:
        return lambda part: _rounded(part.astype(np.float32) / 257)
    low = min(float(_numbers(values[band]).min()) for band in bands)
    high = max(float(_numbers(values[band]).max()) for band in bands)
    for top in (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0,):
        if low >= 0 and high <= top:
            return lambda part: _rounded(_numbers(part) * (255 / top))
    return lambda part: _stretched(_numbers(part), low, high)


def _numbers(values: np.ndarray) -> Any:
    return np.nan_to_num(values.astype(np.float64 if values.dtype.kind != "f" else np.float32), posinf=0, neginf=0)


def _stretched(numbers: Any, low: float, high: float) -> np.ndarray:
    with np.errstate(all="ignore"):  # values at the ends of what a float can hold
        return _rounded((numbers - low) * (255 / (high - low or 1)))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
