"""One image file becomes one row, whatever its format, its bits and its orientation."""

import os

import numpy as np
import pytest
from PIL import Image

from tlapp.engine.inputs import formats, images

SIZE = 32
formats.register()  # so that Pillow saves HEIC here


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "grey": (128, 128, 128)}


def quarters(width=48, height=32):
    """Red, green, blue and grey quarters, from the top left to the bottom right."""
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = slice(0, height // 2), slice(0, width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    for (rows, columns), colour in zip(
        [(top, left), (top, right), (bottom, left), (bottom, right)], COLOURS.values(), strict=True
    ):
        picture[rows, columns] = colour
    return Image.fromarray(picture)


def seen(picture):
    """The four quarters' colours at their middles."""
    assert picture.shape[0] == picture.shape[1] and picture.shape[2] == 3 and picture.dtype == np.uint8
    q = len(picture) // 4
    names = list(COLOURS)
    middles = [picture[row, column].astype(int) for row in (q, 3 * q) for column in (q, 3 * q)]
    return [names[int(np.argmin([np.abs(middle - colour).sum() for colour in COLOURS.values()]))] for middle in middles]


UPRIGHT = ["red", "green", "blue", "grey"]


@pytest.mark.parametrize(
    "name, convert, options",
    [
        ("a.png", "RGB", {}), ("a.jpg", "RGB", {"quality": 95}), ("a.jpeg", "CMYK", {"quality": 95}), ("a.bmp", "RGB", {}),
        ("a.gif", "P", {}), ("a.webp", "RGB", {"lossless": True}), ("a.webp", "RGBA", {}), ("a.tif", "RGB", {}),
        ("a.tiff", "CMYK", {}), ("a.tiff", "RGB", {"compression": "tiff_lzw"}), ("a.png", "P", {}), ("a.png", "RGBA", {}),
        ("a.JPG", "RGB", {"progressive": True, "quality": 95}), ("a.tif", "YCbCr", {}), ("a.avif", "RGB", {"quality": 95}),
        ("a.avif", "RGBA", {"quality": 95}), ("a.heic", "RGB", {"quality": 95}), ("a.HIF", "RGBA", {"quality": 95}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [16, 32, 100])
def test_every_format_reads(tmp_path, name, convert, options, size):
    quarters().convert(convert).save(tmp_path / name, **options)
    assert os.path.splitext(name)[1].lower() in images.SUFFIXES
    assert seen(images.read(str(tmp_path / name), size)) == UPRIGHT


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif", "heic"])  # a HEIC is stored with a rotation of its own
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone(tmp_path, orientation, suffix):
    undo = {1: [], 2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}[orientation]  # Pillow's transposes that store it so
    stored = quarters(64, 64)
    for step in undo:
        stored = stored.transpose(Image.Transpose(step))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {} if suffix in ("png", "tiff") else {"quality": 95}
    stored.save(tmp_path / f"a.{suffix}", exif=exif.tobytes(), **options)
    assert seen(images.read(str(tmp_path / f"a.{suffix}"), SIZE)) == UPRIGHT


def flat(tmp_path, image, name="a.png", **options):
    image.save(tmp_path / name, **options)
    picture = images.read(str(tmp_path / name), SIZE)
    assert (picture == picture[0, 0]).all()
    return picture[0, 0].tolist()


@pytest.mark.parametrize("value, expected", [(0, 0), (200, 1), (257, 1), (32768, 128), (60000, 233), (65535, 255)])
@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_16_bits_are_scaled(tmp_path, value, expected, name):
    assert flat(tmp_path, Image.fromarray(np.full((5, 7), value, np.uint16)), name) == [expected] * 3


@pytest.mark.parametrize("low, high, expected", [(0, 1, (0, 255)), (0, 0.5, (0, 128)), (0, 200, (0, 200)), (0, 65535, (0, 255)),
                                                 (-1, 1, (0, 255)), (0, 1e6, (0, 255))])  # fmt: skip
def test_floats_are_scaled(tmp_path, low, high, expected):
    values = np.full((SIZE, SIZE), low, np.float32)
    values[:, SIZE // 2 :] = high
    Image.fromarray(values).save(tmp_path / "a.tiff")
    picture = images.read(str(tmp_path / "a.tiff"), SIZE)
    assert (picture[0, 0, 0], picture[0, -1, 2]) == expected


@pytest.mark.parametrize("values", [[[0.5, np.nan]], [[np.inf, 0.5]], [[7.0, 7.0]], [[-np.inf, np.nan]]])
def test_odd_floats_give_a_picture(tmp_path, values):
    Image.fromarray(np.array(values, np.float32)).save(tmp_path / "a.tiff")
    assert images.read(str(tmp_path / "a.tiff"), SIZE).shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("value, expected", [(0, 0), (65535, 255), (-70000, 0), (10**9, 0)])
def test_32_bit_integers_are_scaled(tmp_path, value, expected):
    assert flat(tmp_path, Image.fromarray(np.full((5, 7), value, np.int32)), "a.tiff") == [expected] * 3


@pytest.mark.parametrize(
    "mode, colour, expected",
    [
        ("RGBA", (255, 0, 0, 0), [255, 255, 255]), ("RGBA", (255, 0, 0, 255), [255, 0, 0]), ("RGBA", (0, 0, 0, 102), [153] * 3),
        ("LA", (0, 0), [255] * 3), ("LA", (0, 102), [153] * 3), ("LA", (40, 255), [40] * 3), ("L", 90, [90] * 3),
        ("1", 1, [255] * 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("side", [SIZE, 50])
def test_alpha_lies_over_white(tmp_path, mode, colour, expected, side):
    assert flat(tmp_path, Image.new(mode, (side, side), colour)) == expected


@pytest.mark.parametrize("mode, key", [("P", 0), ("L", 7), ("RGB", (7, 7, 7))])
def test_a_transparent_colour_is_white(tmp_path, mode, key):
    assert flat(tmp_path, Image.new(mode, (9, 9), key), transparency=key) == [255, 255, 255]


def test_a_palette_with_graded_alpha(tmp_path):
    image = Image.new("P", (9, 9), 1)
    image.putpalette([10, 20, 30, 0, 0, 0])
    assert flat(tmp_path, image, transparency=bytes([255, 102])) == [153] * 3


def test_the_first_frame_is_read(tmp_path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.webp", "a.tiff", "a.png"):
        assert flat(tmp_path, frames[0], name, save_all=True, lossless=True, append_images=frames[1:])[2] < 10


def test_resizing_smooths(tmp_path):
    board = np.indices((512, 512)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "a.png")
    assert np.abs(images.read(str(tmp_path / "a.png"), SIZE).astype(int) - 127).max() <= 2


def test_a_large_jpeg_is_read_as_if_decoded_whole(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=92)
    whole = Image.open(tmp_path / "a.jpg").resize((64, 64), Image.Resampling.BILINEAR)
    assert np.abs(images.read(str(tmp_path / "a.jpg"), 64).astype(int) - np.asarray(whole).astype(int)).mean() < 1.5


def test_arrays_are_squashed_too():
    grey = np.array([[0, 255], [0, 255]], np.uint8)
    picture = images.from_array(grey, SIZE)
    assert picture.shape == (SIZE, SIZE, 3) and picture[0, 0, 0] == 0 and picture[0, -1, 0] == 255
