"""A heat map laid over its picture, for people; and where in the picture its peak is."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tlapp.engine.inputs.square import centre, fitted

COLOURS = np.array([(0, 0, 80), (90, 20, 140), (220, 50, 80), (250, 150, 30), (255, 250, 150)], np.float32)
"""From little heat to much, ever brighter, so that it can be read without telling red from green."""
OPAQUE = 0.75
"""How much of a picture the most heat covers."""
GAP = 8
"""Pixels between a picture and its heat map."""


def overlaid(picture: Image.Image, heat: np.ndarray) -> Image.Image:
    """A picture with a heat map over it, (height, width) from 0 to 1 of any size; nothing covers what has no heat."""
    width, height = picture.size
    heat = np.asarray(Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)).clip(0, 1)
    stops = np.linspace(0, 1, len(COLOURS))
    colours = np.stack([np.interp(heat, stops, COLOURS[:, channel]) for channel in range(3)], axis=-1)
    share = (OPAQUE * np.sqrt(heat))[..., None]
    mixed = np.asarray(picture.convert("RGB"), np.float32) * (1 - share) + colours * share
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def side_by_side(picture: Image.Image, heat: np.ndarray) -> Image.Image:
    """A picture, and beside it the heat map over it, with a ring around the peak."""
    width, height = picture.size
    sheet = Image.new("RGB", (2 * width + GAP, height), "white")
    sheet.paste(picture, (0, 0))
    sheet.paste(overlaid(picture, heat), (width + GAP, 0))
    if (peak := peak_of(heat)) is not None:
        pen, radius = ImageDraw.Draw(sheet), max(4, width // 40)
        x, y = width + GAP + peak[0] * width, peak[1] * height
        for more, colour in ((1, "black"), (0, "white")):
            pen.ellipse((x - radius - more, y - radius - more, x + radius + more, y + radius + more), outline=colour, width=2)
    return sheet


def shown(picture: Image.Image, shape: tuple[int, int] | None, resize: str, side: int) -> Image.Image:
    """A square picture as the network sees it, in the file's own shape where it was stretched; the longer side has `side` pixels.

    Args:
        shape: width and height of the file; None where they are not known.
        resize: how the picture became a square.
    """
    width, height = shape if shape and resize == "squash" else (1, 1)
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = Image.Resampling.LANCZOS if picture.width > 64 else Image.Resampling.NEAREST
    return picture if picture.size == size else picture.resize(size, how)


def peak_of(heat: np.ndarray) -> tuple[float, float] | None:
    """Where a heat map (height, width) is hottest, in shares of the width and height; None for nowhere."""
    if not heat.max() > 0:
        return None
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    return float((column + 0.5) / heat.shape[1]), float((row + 0.5) / heat.shape[0])


def in_the_file(peak: tuple[float, float], shape: tuple[int, int] | None, resize: str) -> dict[str, Any]:
    """A peak of a square as shares of the upright file's width and height, and in its pixels where these are known."""
    if shape is None:
        return {"x": peak[0], "y": peak[1]}
    (width, height), (x, y) = shape, peak
    if resize == "crop":
        left, top, right, bottom = centre(shape)
        x, y = (left + x * (right - left)) / width, (top + y * (bottom - top)) / height
    elif resize == "pad":
        size = 1 << 20  # of a square so large that what rounding does to its bars does not count
        inner = fitted(shape, size)
        x, y = (min(1.0, max(0.0, (at * size - (size - side) / 2) / side)) for at, side in zip((x, y), inner, strict=True))
    return {"x": x, "y": y, "pixel": [min(width - 1, int(x * width)), min(height - 1, int(y * height))]}
