"""Folders of images: classes, splits and everything that lies beside them."""

import os

import numpy as np
import pytest
from helpers.image_sets import load, names, pictures, sizes, two_classes

from tlapp.engine.inputs import images
from tlapp.words import natural_sort

SIZE = 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "mixed, expected",
    [
        (["10", "2", "1"], ["1", "2", "10"]), (["b10", "b9", "a"], ["a", "b9", "b10"]), (["Zebra", "ant"], ["ant", "Zebra"]),
        (["img12x3", "img2x10", "img2x9"], ["img2x9", "img2x10", "img12x3"]), (["x", "10", "١"], ["10", "x", "١"]),
        (["01", "1", "001"], ["001", "01", "1"]),
    ],
)  # fmt: skip
def test_natural_order(mixed, expected):
    assert natural_sort(mixed) == expected == natural_sort(mixed[::-1])


def test_class_folders(tmp_path):
    for name in ("10", "2", "1"):
        pictures(tmp_path / "d" / name, 20)
    dataset = load(tmp_path / "d")
    assert dataset.classes == ("1", "2", "10")
    assert sizes(dataset) == {"train": 39, "val": 9, "test": 12}
    for stream in dataset.streams.values():
        assert stream.labels.dtype == np.int32 and len(stream.digests) == len(stream)
        assert [dataset.classes[i] for i in stream.labels] == [os.path.basename(os.path.dirname(file)) for file in stream.files]
        expected = np.stack([images.read(file, SIZE) for file in stream.files])
        np.testing.assert_array_equal(stream.examples.take(np.arange(len(stream)))[0], expected)
        np.testing.assert_array_equal(stream.examples.take([2, 0, 2])[0], expected[[2, 0, 2]])


def test_what_is_not_a_picture_is_passed_over_and_folders_are_read_to_the_bottom(tmp_path):
    root = two_classes(tmp_path / "d", 5)
    pictures(root / "cats" / "indoors" / "2020", 3, seed=9, suffix="JPG")
    pictures(root / ".hidden", 2)
    pictures(root / "cats" / ".thumbs", 2)
    pictures(root / "__MACOSX" / "cats", 2)
    for name in ("cats/.DS_Store", "cats/._1.png", "dogs/Thumbs.db", "notes.txt"):
        (root / name).write_text("x")
    dataset = load(root)
    assert dataset.classes == ("cats", "dogs") and sum(sizes(dataset).values()) == 13
    assert "cats/indoors/2020/3.JPG" in set().union(*(names(stream, root) for stream in dataset.streams.values()))


def test_loops_of_links_end(tmp_path):
    root = two_classes(tmp_path / "d", 5)
    (root / "cats" / "again").symlink_to(root / "cats", target_is_directory=True)
    (root / "cats" / "up").symlink_to(root / "cats", target_is_directory=True)
    assert sum(sizes(load(root)).values()) == 10


def test_loose_pictures_are_told(tmp_path):
    root = two_classes(tmp_path / "d", 5)
    pictures(root, 1, seed=3)
    assert any("outside the class folders: 1.png" in note for note in load(root).notes)


def test_folders_of_splits(tmp_path):
    for split, count in (("train", 10), ("validation", 4), ("test", 6)):
        two_classes(tmp_path / "d" / split, count, seed=count)
    dataset = load(tmp_path / "d")
    assert sizes(dataset) == {"train": 20, "val": 8, "test": 12}
    assert all("/test/" in file for file in dataset.streams["test"].files)
    assert all("/validation/" in file for file in dataset.streams["val"].files)


def test_without_val_it_is_split_off_train_alone(tmp_path):
    two_classes(tmp_path / "d" / "train", 20)
    two_classes(tmp_path / "d" / "test", 5, seed=1)
    dataset = load(tmp_path / "d")
    assert sizes(dataset) == {"train": 34, "val": 6, "test": 10}
    assert all("/train/" in file for file in dataset.streams["val"].files)


def test_classes_called_train_and_plane_are_classes(tmp_path):
    for name in ("train", "plane"):
        pictures(tmp_path / "d" / name, 4)
    assert load(tmp_path / "d").classes == ("plane", "train")


def test_a_spare_folder_beside_the_splits_is_told(tmp_path):
    for name in ("train", "test", "raw"):
        two_classes(tmp_path / "d" / name, 5, seed=len(name))
    dataset = load(tmp_path / "d")
    assert dataset.classes == ("cats", "dogs") and any("raw/" in note for note in dataset.notes)


def test_flags_override_folders(tmp_path):
    for name in ("train", "test", "other"):
        two_classes(tmp_path / name / "x" if name == "other" else tmp_path / "d" / name, 5, seed=len(name))
    dataset = load(tmp_path / "d", test=tmp_path / "other" / "x")
    assert all("/other/" in file for file in dataset.streams["test"].files)
    assert any("its test pictures are not used" in note for note in dataset.notes)
