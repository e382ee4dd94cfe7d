"""Pictures that programs read differently: transparency, EXIF orientation, CMYK, 16 bits, palettes, animations."""

from __future__ import annotations

import numpy as np
from PIL import Image

BARS = {"top": (0, 0, 1, 0.5), "bottom": (0, 0.5, 1, 1), "left": (0, 0, 0.5, 1), "right": (0.5, 0, 1, 1)}
COLOURS = {"red": (190, 60, 60), "green": (60, 170, 70), "blue": (60, 80, 190)}
GROUNDS = {"black": 0, "white": 255}
CLASSES = tuple(f"{colour}-{ground}" for colour in COLOURS for ground in GROUNDS)
"""What `write_classes` draws: a half in a colour, the rest black or white."""
SHAPE = 90, 58
UNDECODED = (".tiff", ".avif")
"""Suffixes of files that TensorFlow's decoders do not read."""


def drawn(bar, colour, ground, rng, shape=SHAPE):
    """A picture of which a half has a colour, RGBA; the rest is transparent, black or white."""
    (width, height), (left, top, right, bottom) = shape, BARS[bar]
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = GROUNDS.get(ground, 0), 0 if ground == "clear" else 255
    area = pixels[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    area[..., :3], area[..., 3] = np.clip(rng.normal(COLOURS[colour], 15, area[..., :3].shape), 0, 255), 255
    return Image.fromarray(pixels, "RGBA")


def write_classes(folder, each=12):
    """A folder of classes to train on: PNG files, wide and tall."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            shape = SHAPE if number % 2 else SHAPE[::-1]
            picture = drawn(list(BARS)[number % 4], *name.split("-"), rng, shape)
            picture.convert("RGB").save(folder / name / f"{number}.png")
    return folder


def write_hard(folder):
    """The pictures, one of each kind; their paths."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    clear, black = drawn("top", "green", "clear", rng), drawn("left", "red", "black", rng).convert("RGB")
    grey, white = black.convert("L"), drawn("right", "blue", "white", rng).convert("RGB")
    deep = np.asarray(grey).astype(np.uint16) * 257 + rng.integers(-128, 128, (SHAPE[1], SHAPE[0])).astype(np.uint16)
    deep = np.where(np.asarray(grey) == 0, 100, deep).astype(np.uint16)
    faint = clear.copy()
    faint.putalpha(clear.getchannel("A").point(lambda value: value * 2 // 5))
    few = clear.convert("RGB").quantize(8)
    for name, picture, options in (
        ("plain.jpg", black, {"quality": 95}), ("plain.webp", white, {"lossless": True}), ("plain.bmp", black, {}),
        ("alpha.png", clear, {}), ("faint.png", faint, {}), ("alpha.webp", clear, {"lossless": True}), ("alpha.tiff", clear, {}),
        ("alpha.avif", clear, {"quality": 95}), ("la.png", clear.convert("LA"), {}), ("grey.png", grey, {}),
        ("grey.jpg", grey, {"quality": 95}), ("one-bit.png", white.convert("1"), {}), ("cmyk.jpg", white.convert("CMYK"), {}),
        ("cmyk.tiff", white.convert("CMYK"), {}), ("sixteen.png", Image.fromarray(deep), {}),
        ("sixteen.tiff", Image.fromarray(deep), {}), ("signed.tiff", Image.fromarray(deep.astype(np.int32) - 900), {}),
        ("float.tiff", Image.fromarray(np.asarray(grey).astype(np.float32) / 255), {}),
        ("palette.png", few, {"transparency": few.getpixel((9, SHAPE[1] - 1))}), ("palette.gif", clear, {}),
        ("palette.bmp", few, {}),
        ("colour.png", black, {"transparency": (0, 0, 0)}), ("level.png", grey, {"transparency": 0}),
        ("moving.gif", black, {"save_all": True, "append_images": [white]}),
        ("moving.webp", black, {"save_all": True, "append_images": [white], "lossless": True}),
        ("moving-alpha.gif", clear, {"save_all": True, "append_images": [faint], "comment": b"a comment"}),
        ("moving-alpha.webp", clear, {"save_all": True, "append_images": [faint], "lossless": True}),
        ("large.jpg", white.resize((1000, 645), Image.Resampling.BICUBIC), {"quality": 92}),
    ):  # fmt: skip
        picture.save(folder / name, **options)
    for how in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = how
        stored = drawn("top", "red" if how % 2 else "blue", "black", rng).convert("RGB")
        stored.save(folder / f"turned-{how}.jpg", exif=exif, quality=95)
        if how in (3, 6):
            stored.save(folder / f"turned-{how}.png", exif=exif)
            stored.save(folder / f"turned-{how}.webp", exif=exif, lossless=True)
    return sorted(folder.iterdir())
