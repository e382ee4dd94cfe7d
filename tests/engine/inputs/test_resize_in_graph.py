"""A picture becomes a square in a TensorFlow graph as Pillow makes it one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tlapp.engine.inputs import images

SIZE = 32


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", [(90, 60), (61, 92), (33, 32), (200, 3), (31, 31), (64, 64)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_it_is_pillows(resize, shape, mode, tmp_path, tensorflow):
    from tlapp.engine.inputs import decode_in_graph

    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 7, 4), dtype=np.uint8), "RGBA")
    path = tmp_path / "a.png"
    noise.resize(shape, Image.Resampling.BICUBIC).convert(mode).save(path)
    expected = images.read(str(path), SIZE, resize)
    square = decode_in_graph.square(path.read_bytes(), SIZE, resize).numpy()
    difference = np.abs(square - expected)
    assert difference.mean() < 1.0 and difference.max() <= 6


@pytest.mark.parametrize("resize", ["crop", "pad"])
@pytest.mark.parametrize("how", [3, 6, 8])
def test_a_turned_picture_too(resize, how, tmp_path, tensorflow):
    from tlapp.engine.inputs import decode_in_graph

    noise = Image.fromarray(np.random.default_rng(how).integers(0, 256, (4, 4, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = how
    path = tmp_path / "a.jpg"
    noise.resize((90, 51), Image.Resampling.BICUBIC).save(path, exif=exif, quality=95)
    square = decode_in_graph.square(path.read_bytes(), SIZE, resize).numpy()
    assert np.abs(square - images.read(str(path), SIZE, resize)).mean() < 2
