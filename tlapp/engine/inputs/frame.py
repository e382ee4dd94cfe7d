"""Where a picture goes in the square that the network sees."""

from __future__ import annotations

from typing import NamedTuple

from tlapp.engine.options import Resize

Box = tuple[float, float, float, float]


class Frame(NamedTuple):
    """A square of `size` pixels a side, the `width` and `height` of it that the picture fills, and whether its long side is cut.

    Bars beside the picture are equal, so that a picture may be turned upright before or after it is put there.
    """

    size: int
    width: int
    height: int
    cut: bool = False

    @classmethod
    def of(cls, shape: tuple[int, int], size: int, resize: Resize) -> Frame:
        """The frame of a picture of (width, height) pixels."""
        if resize != "pad":
            return cls(size, size, size, resize == "crop")
        width, height = shape
        return cls(size, size - 2 * bar(size, height, width), size - 2 * bar(size, width, height))

    def box(self, shape: tuple[int, int]) -> Box | None:
        """What of a picture of (width, height) pixels is shown: left, top, right, bottom; None for all of it."""
        if not self.cut:
            return None
        width, height = shape
        left, top = max(0, width - height) / 2, max(0, height - width) / 2
        return left, top, width - left, height - top


def bar(size: int, long: int, short: int) -> int:
    """Pixels of each of the two bars beside a side of `short` pixels, where the other of `long` pixels fills the square."""
    return min((size - 1) // 2, max(0, (size * (long - short) + long) // (2 * long)))
