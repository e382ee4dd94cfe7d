"""One file to one picture: a square of 8-bit RGB, whatever format, depth or orientation the file has."""

from __future__ import annotations

import errno
import os
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from tlapp.errors import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"})
MOST_PIXELS = 100_000_000
VERSION = 1
"""Raise it whenever `read` gives other pixels than before: it is part of the cache's keys."""

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_ORIENTATION = 0x0112
_PASSING = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE})
_BAND = 1 << 20
"""Pixels of more than 8 bits that are scaled at a time."""
_PILLOW = re.compile(r"PIL\.")


class BadPicture(UserError):
    """A file that cannot be read as a picture; `reason` says why in a few words. `passing`: another try may do better."""

    def __init__(self, path: str, reason: str, passing: bool = False):
        super().__init__(f"{path}: {reason}", received=path)
        self.path, self.reason, self.passing = path, reason, passing


def read(path: str, size: int, most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """Read a picture, turn it upright and squash it to a square: (size, size, 3) uint8.

    Transparency is laid over white. 16-bit values are divided by 257, and so are 32-bit integers up to 65535. Floats are taken as
    0 to 1, 0 to 255 or 0 to 65535, whichever is the first that holds them. What exceeds these is stretched from its least to its
    greatest value. Of an animation the first frame is read. Colour profiles are ignored.

    Raises:
        BadPicture: empty, not a picture, damaged, or of more than `most_pixels` pixels (told before it is decoded).
    """
    _hush()
    try:
        with _open(path) as image:
            _check_pixels(path, image.width * image.height, most_pixels)
            image.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at the least scale that keeps twice the size
            image.load()
            square = _rgb(image, size)
            turn = _TURNS.get(_orientation(image))
    except BadPicture:
        raise
    except Exception as error:  # Pillow raises nearly anything on a damaged file
        if isinstance(error, OSError) and error.errno in _PASSING:
            raise BadPicture(path, f"cannot be opened: {error.strerror}", passing=True) from error
        if isinstance(error, MemoryError):
            raise BadPicture(path, "not enough memory to decode it", passing=True) from error
        raise BadPicture(path, _reason(path, error)) from error
    return np.asarray(square if turn is None else square.transpose(turn))


def from_array(array: np.ndarray, size: int) -> np.ndarray:
    """Squash an array, (height, width) or (height, width, 3) uint8, to (size, size, 3) uint8."""
    return np.asarray(_rgb(Image.fromarray(array), size))


def _hush() -> None:
    """Silence Pillow's warnings, in whatever set of filters is in force; what matters in them is raised as BadPicture."""
    if not warnings.filters or warnings.filters[0][3] != _PILLOW:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _open(path: str) -> Image.Image:
    if os.path.getsize(path) == 0:
        raise BadPicture(path, "empty file")
    return Image.open(path, formats=_FORMATS)


def _check_pixels(path: str, pixels: int, most: int) -> None:
    if pixels > most:
        raise BadPicture(path, f"{pixels / 1e6:.0f} million pixels, over the limit of {most / 1e6:g} million")


def _reason(path: str, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        count = f"{int(pixels[1]) / 1e6:.0f} million pixels" if pixels else "too many pixels"
        return f"{count}, over the limit of {MOST_PIXELS / 1e6:g} million"
    if isinstance(error, UnidentifiedImageError):
        with open(path, "rb") as file:
            heic = file.read(12)[4:11] in (b"ftyphei", b"ftypmif", b"ftypavi")
        return "a HEIC or AVIF picture, which is not supported: convert it to JPEG" if heic else "not a picture"
    return f"damaged or cut short ({error})" if str(error) else "damaged or cut short"


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block does not spoil the picture
        return 1


def _rgb(image: Image.Image, size: int) -> Image.Image:
    """A decoded picture of any mode, squashed: `size` pixels a side, mode RGB."""
    if image.mode.startswith(("I", "F")):
        return _squash(Image.fromarray(_eight_bits(np.asarray(image))), size).convert("RGB")
    if image.mode in _ALPHA or "transparency" in image.info:
        square = _squash(image.convert("RGBA"), size)
        return Image.alpha_composite(Image.new("RGBA", square.size, "white"), square).convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    return _squash(image if image.mode in ("L", "RGB") else image.convert("RGB"), size).convert("RGB")


def _squash(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Scale values of more than 8 bits to uint8, as `read` says; some rows at a time, as the numbers between take much room."""
    step = max(1, _BAND // max(1, values.shape[1]))
    bands = [slice(at, at + step) for at in range(0, len(values), step)]
    scale = _scale(values, bands)
    found = np.empty(values.shape, np.uint8)
    for band in bands:
        found[band] = scale(values[band])
    return found


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
