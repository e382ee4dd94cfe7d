"""A picture to a square of 8-bit RGB, as the network sees it. The Python programs of exports quote this file."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Programs quote all that follows. It may use NumPy, Pillow and nothing else.

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def square(image: Image.Image, size: int, resize: str) -> np.ndarray:
    """A picture as training reads it: (size, size, 3) uint8, transparency over white, turned upright."""
    width, height = fitted(image.size, size) if resize == "pad" else (size, size)
    image.draft(None, (2 * width, 2 * height))  # a JPEG is decoded at the smallest scale that keeps twice the size
    image.load()
    content = rgb(image, (width, height), centre(image.size) if resize == "crop" else None)
    framed = Image.new("RGB", (size, size))  # the bars are black
    framed.paste(content, ((size - width) // 2, (size - height) // 2))
    turn = TURNS.get(orientation(image))
    return np.asarray(framed if turn is None else framed.transpose(turn))


def fitted(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Width and height of a picture in a square of `size` pixels a side; the bars beside it are equal."""

    def side(long: int, short: int) -> int:
        return size - 2 * min((size - 1) // 2, max(0, (size * (long - short) + long) // (2 * long)))

    width, height = shape
    return side(height, width), side(width, height)


def centre(shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """The centre square of a picture of (width, height) pixels: left, top, right, bottom."""
    width, height = shape
    left, top = max(0, width - height) / 2, max(0, height - width) / 2
    return left, top, width - left, height - top


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # a broken EXIF block does not spoil the picture
        return 1


def rgb(image: Image.Image, shape: tuple[int, int], box: tuple[float, float, float, float] | None) -> Image.Image:
    """What a box of a picture shows, of any mode, resized to (width, height) pixels: mode RGB."""

    def resized(image: Image.Image) -> Image.Image:
        return image if image.size == shape else image.resize(shape, Image.Resampling.BILINEAR, box, reducing_gap=3.0)

    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(eight_bits(np.asarray(image)))
    elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        content = resized(image.convert("RGBA"))
        return Image.alpha_composite(Image.new("RGBA", content.size, "white"), content).convert("RGB")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return resized(image).convert("RGB")


def eight_bits(values: np.ndarray) -> np.ndarray:
    """Numbers of 16 or 32 bits to uint8: of a range of 65535 (floats also of 1 or 255), else stretched to what they span."""
    floats, scaled = values.dtype.kind == "f", np.empty(values.shape, np.uint8)

    def row(number: int) -> np.ndarray:  # one at a time, as all of them take much memory
        return np.nan_to_num(values[number].astype(np.float32 if floats else np.float64), posinf=0, neginf=0)

    low = min(float(row(number).min()) for number in range(len(values)))
    high = max(float(row(number).max()) for number in range(len(values)))
    ranges = [top for top in ((1.0, 255.0, 65535.0) if floats else (65535.0,)) if low >= 0 and high <= top]
    low, high = (0.0, ranges[0]) if ranges else (low, high)
    with np.errstate(all="ignore"):  # values at the ends of what a float can hold
        for number in range(len(values)):
            scaled[number] = np.clip(np.rint((row(number) - low) * (255 / (high - low or 1))), 0, 255)
    return scaled
