"""Files that cannot be read stop the load, or are left out where that was asked for."""

import os

import numpy as np
import pytest
from helpers.image_sets import load, sizes, spoil, two_classes

from tlapp.engine.data import streams
from tlapp.engine.inputs import decode, images, square
from tlapp.engine.inputs.images import Images
from tlapp.engine.memory import enough_memory
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

SIZE = 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


def test_bad_pictures_stop_the_load(tmp_path):
    with pytest.raises(UserError) as told:
        load(spoil(two_classes(tmp_path / "d")))
    sentence = str(told.value)
    assert sentence.startswith("7 pictures cannot be read") and "and 2 more" in sentence and "option on_bad=skip" in sentence
    assert all(
        part in sentence for part in ("bad0.jpg: empty file", "bad1.jpg: not a picture", "bad2.jpg: 400 million", "bad4.jpg")
    )
    assert "bad5.jpg" not in sentence


def test_bad_pictures_can_be_left_out(tmp_path):
    dataset = load(spoil(two_classes(tmp_path / "d")), on_bad="skip")
    assert sum(sizes(dataset).values()) == 20
    assert any("left out: 7 pictures" in note for note in dataset.notes)
    for stream in dataset.streams.values():
        for i, file in enumerate(stream.files):
            np.testing.assert_array_equal(stream.examples.take([i])[0][0], images.read(file, SIZE))


def test_a_class_of_bad_pictures_only_is_told(tmp_path):
    root = two_classes(tmp_path / "d")
    (root / "owls").mkdir()
    (root / "owls" / "1.png").write_text("x")
    with pytest.raises(UserError, match="no picture of owls is left to train on"):
        load(root, on_bad="skip")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_picture_that_may_not_be_read_is_told(tmp_path):
    root = two_classes(tmp_path / "d")
    (root / "cats" / "1.png").chmod(0)
    with pytest.raises(UserError, match=r"1\.png: cannot be opened: Permission denied"):
        load(root)


def test_a_picture_that_vanishes_is_told(tmp_path, monkeypatch):
    root, digest = two_classes(tmp_path / "d"), decode._digest

    def vanish(path, examples):
        if path.endswith("3.png"):
            raise FileNotFoundError(2, "No such file or directory")
        return digest(path, examples)

    monkeypatch.setattr(decode, "_digest", vanish)
    with pytest.raises(UserError, match=r"2 pictures cannot be read: .*3\.png: cannot be opened: No such file"):
        load(root)


@pytest.mark.parametrize("on_bad", ["fail", "skip"])
def test_a_picture_that_memory_does_not_suffice_for_is_not_left_out(on_bad, tmp_path, monkeypatch):
    def rgb(image, shape, box):
        raise MemoryError

    monkeypatch.setattr(square, "rgb", rgb)
    options = RunOptions(data=str(two_classes(tmp_path / "d")), image_size=SIZE, on_bad=on_bad)
    sentence = r"memory ran out: lower option batch_size .* option image_size \(now 32\).*\.png: not enough memory to decode it"
    with pytest.raises(UserError, match=sentence), enough_memory(options):
        streams.load(options, Images(SIZE))
