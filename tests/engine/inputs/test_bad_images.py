"""Image files that are too large, cut short, damaged or no images are refused with the reason."""

import random
import warnings

import numpy as np
import pytest
from helpers.image_sets import png
from PIL import Image

from tlapp.engine.inputs import formats, images
from tlapp.errors import UserError

SIZE = 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("width, told", [(12_000, "120 million pixels"), (15_000, "150 million"), (60_000, "600 million")])
def test_bombs_are_refused_by_their_header(tmp_path, width, told):
    (tmp_path / "a.png").write_bytes(png(width, 10_000))
    with pytest.raises(images.BadExample, match=f"{told}.*over the limit of 100 million"):
        images.read(str(tmp_path / "a.png"), SIZE)


def test_pillow_does_not_warn(tmp_path):
    (tmp_path / "a.png").write_bytes(png(15_000, 10_000))
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(images.BadExample):
                images.read(str(tmp_path / "a.png"), SIZE)
        assert caught == []


def test_the_limit_is_inclusive(tmp_path):
    Image.new("1", (100, 100)).save(tmp_path / "a.png")
    assert images.read(str(tmp_path / "a.png"), SIZE, most_pixels=10_000).shape == (SIZE, SIZE, 3)
    with pytest.raises(images.BadExample, match="over the limit"):
        images.read(str(tmp_path / "a.png"), SIZE, most_pixels=9_999)


formats.register()  # so that Pillow saves HEIC here


def photograph(path, seed=0, side=64, **options):
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.webp", "a.tiff", "a.avif", "a.heic"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_truncated_files_are_bad(tmp_path, name, part):
    whole = photograph(tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(images.BadExample, match=r"damaged or cut short|not a picture"):
        images.read(str(tmp_path / name), SIZE)


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty file"), (b"hello, I am text", "not a picture"), (b"<svg/>", "not a picture"),
        (b"\xff\xd8\xff", "not a|damaged"), (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
    ],
)  # fmt: skip
def test_what_is_no_picture_says_so(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(images.BadExample, match=reason) as told:
        images.read(str(tmp_path / "a.jpg"), SIZE)
    assert str(tmp_path / "a.jpg") in str(told.value) and isinstance(told.value, UserError)


def test_without_the_extra_a_heic_picture_says_what_to_install(tmp_path, monkeypatch):
    file = str(photograph(tmp_path / "a.heic"))
    assert images.read(file, SIZE).shape == (SIZE, SIZE, 3)
    monkeypatch.setattr(images, "register", lambda: False)
    with pytest.raises(images.BadExample, match=r"a HEIC picture: install 'tlapp\[heif\]' to read it, or convert it to JPEG"):
        images.read(file, SIZE)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(images.BadExample, match="cannot be opened: No such file"):
        images.read(str(tmp_path / "a.jpg"), SIZE)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.webp", "a.tiff", "a.avif", "a.heic"])
def test_damaged_files_give_a_picture_or_bad_picture(tmp_path, name):
    whole = photograph(tmp_path / name, side=24).read_bytes()
    dice = random.Random(name)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        (tmp_path / name).write_bytes(broken)
        try:
            assert images.read(str(tmp_path / name), SIZE, most_pixels=10**6).shape == (SIZE, SIZE, 3)
        except images.BadExample as error:
            assert error.reason
