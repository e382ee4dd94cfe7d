"""The formats of pictures: by suffix, by first bytes, and what reads those that Pillow alone does not."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version

EXTRA = "'tlapp[heif]'"
HEIF = "HEIF"
"""What Pillow calls the format that the extra reads."""
HEIC = frozenset({".heic", ".heif", ".hif"})
_OTHERS = frozenset(
    {".svg", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".psd", ".jxl", ".jp2", ".pdf", ".eps", ".ico", ".tga", ".exr"}
    | {".pbm", ".pgm", ".ppm", ".pnm", ".xcf"}
)
"""Suffixes of pictures that nothing here reads."""
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_BITMAP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


@functools.cache
def heif_version() -> str:
    """The version of what reads HEIC; "" where the extra is not installed."""
    try:
        return version("pillow_heif")
    except PackageNotFoundError:
        return ""


@functools.cache
def register() -> bool:
    """Let Pillow open HEIC in this process; whether it can."""
    if not heif_version():
        return False
    import pillow_heif

    pillow_heif.register_heif_opener()
    return True


SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".avif"} | (HEIC if heif_version() else set())
)
"""Of files that are listed as pictures, in lower case with the dot."""


def advice_for(suffix: str) -> str:
    """What makes a file of this suffix, which is not read, a picture that is; "" where nothing is known."""
    if suffix in HEIC:
        return f"install {EXTRA}"
    return "convert to JPEG or PNG" if suffix in _OTHERS else ""


def first_bytes(path: str) -> bytes:
    """As many bytes of a file as tell its format."""
    with open(path, "rb") as file:
        return file.read(32)


def is_picture(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a picture that can be read."""
    if start.startswith(_STARTS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return True
    if start[:2] == b"BM":
        return int.from_bytes(start[14:18], "little") in _BITMAP_HEADERS
    return (start[4:8] == b"ftyp" and start[8:12] in _AVIF_BRANDS) or (bool(heif_version()) and is_heic(start))


def is_heic(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a HEIC picture."""
    return start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS
