"""--resize: squash, crop and pad, alike from Pillow and inside a graph, however a file is turned."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tlapp.contracts import ImageInput
from tlapp.engine.inputs import images, packed, reader, unpacked
from tlapp.engine.inputs.images import Images
from tlapp.engine.options import RunOptions

SIZE = 32
SHAPES = [(96, 48), (48, 96), (97, 50), (50, 101), (33, 32), (300, 3), (64, 64), (640, 401)]


def landscape(width, height):
    """A smooth picture whose red grows to the right and whose green grows downwards."""
    x, y = np.meshgrid(np.linspace(40, 250, width), np.linspace(40, 250, height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 90)], -1).astype(np.uint8))


def test_crop_keeps_the_centre_square(tmp_path):
    landscape(96, 48).save(tmp_path / "a.png")
    picture = images.read(str(tmp_path / "a.png"), SIZE, "crop").astype(int)
    whole = images.read(str(tmp_path / "a.png"), SIZE).astype(int)
    assert 85 < picture[16, 0, 0] < 100 and 190 < picture[16, -1, 0] < 205  # the middle half of 40 ... 250
    assert whole[16, 0, 0] < 50 and np.abs(picture[:, 16, 1] - whole[:, 16, 1]).max() <= 2


def test_pad_shows_all_between_equal_bars(tmp_path):
    landscape(96, 48).save(tmp_path / "a.png")
    picture = images.read(str(tmp_path / "a.png"), SIZE, "pad")
    assert not picture[:8].any() and not picture[-8:].any() and picture[8:-8].all()
    assert picture[16, 0, 0] < 50 and picture[16, -1, 0] > 240


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_turned_file_is_the_upright_one(resize, shape, tmp_path):
    upright = landscape(*shape)
    upright.save(tmp_path / "a.png")
    expected = images.read(str(tmp_path / "a.png"), SIZE, resize).astype(int)
    for number, turn in {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}.items():
        exif = Image.Exif()
        exif[0x0112] = number
        upright.transpose(turn).save(tmp_path / "b.png", exif=exif)
        assert np.abs(images.read(str(tmp_path / "b.png"), SIZE, resize).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_the_graph_does_what_pillow_does(resize, shape, suffix, tmp_path, tensorflow):
    from tlapp.engine.inputs import decode_in_graph

    path = tmp_path / f"a.{suffix}"
    landscape(*shape).save(path, quality=95)
    found = decode_in_graph.square(path.read_bytes(), SIZE, resize).numpy()
    expected = images.read(str(path), SIZE, resize).astype(float)
    assert found.shape == (SIZE, SIZE, 3)
    assert ((found == 0).all(-1) == (expected == 0).all(-1)).all()  # the same bars
    assert np.abs(found - expected).mean() < 1.5 and np.abs(found - expected).max() < 16


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_a_large_jpeg_decoded_small_looks_alike(resize, tmp_path):
    picture = landscape(1603, 801)
    picture.save(tmp_path / "a.jpg", quality=95)
    picture.save(tmp_path / "a.png")
    one, other = (images.read(str(tmp_path / name), SIZE, resize).astype(int) for name in ("a.jpg", "a.png"))
    assert np.abs(one - other).mean() < 2 and ((one == 0).all(-1) == (other == 0).all(-1)).all()


def test_the_choice_is_part_of_the_key_and_reaches_other_processes():
    readers = [reader(ImageInput(SIZE), RunOptions(resize=resize)) for resize in ("squash", "crop", "pad")]
    assert len({str(each.key()) for each in readers}) == 3 and readers[0] == Images(SIZE)
    assert [unpacked(packed(each)) for each in readers] == readers


def test_the_built_in_set_goes_through_the_same_door():
    examples = Images(SIZE)
    source, name, label = examples.builtin("builtin:digits")[5]
    assert (name, label) == ("0005", "5") and examples.read(source)[0].shape == (SIZE, SIZE, 3)
    assert examples.builtin("elsewhere") is None
