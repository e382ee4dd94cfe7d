"""Every file that is not read is counted, and files without an extension are read by their first bytes."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from helpers.image_sets import load, pictures, sizes, two_classes
from PIL import Image

from tlapp.engine.data.files import below, kinds_in_words, unread_note
from tlapp.engine.inputs import formats
from tlapp.engine.inputs.images import Images

EXAMPLES = Images(32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


def mixed(folder):
    """Two classes with three .svg, two .mp4, a file without an extension that is no picture, and what is not counted."""
    root = two_classes(folder, 5)
    for i in range(3):
        (root / "cats" / f"{i}.svg").write_text("<svg/>")
    for name in ("cats/in/1.MP4", "dogs/2.mp4", "dogs/text"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("words")
    for name in ("cats/.hidden", "cats/.DS_Store", "dogs/Thumbs.db", "dogs/1.json", "dogs/1.txt", "dogs/README", "loose.svg"):
        (root / name).write_text("words")
    (root / "cats" / "gone").symlink_to("nowhere")
    os.mkfifo(root / "cats" / "pipe")
    return root


SENTENCE = "6 files are not read: 3 .svg (convert to JPEG or PNG), 2 .mp4, 1 without an extension (not pictures)"


def test_files_that_are_not_read_are_told_once(tmp_path):
    root = mixed(tmp_path / "d")
    dataset = load(root)
    assert dataset.notes == (f"option data={root}: {SENTENCE}",) and sum(sizes(dataset).values()) == 10


@pytest.mark.parametrize("option", ["val", "test", "target", "aux"])
def test_every_option_tells_them(option, tmp_path):
    root = mixed(tmp_path / "d")
    assert f"option {option}={root}: {SENTENCE}" in load(two_classes(tmp_path / "clean", 5, 7), **{option: root}).notes


def test_folders_of_splits_tell_them_together(tmp_path):
    for split in ("train", "test"):
        mixed(tmp_path / "d" / split)
    (note,) = (note for note in load(tmp_path / "d").notes if "not read" in note)
    assert ": 12 files are not read: 6 .svg" in note


def test_a_flat_folder_tells_them(tmp_path):
    flat = pictures(tmp_path / "flat", 3)
    (flat / "1.svg").write_text("x")
    dataset = load(two_classes(tmp_path / "d", 5, 7), target=flat)
    assert f"option target={flat}: 1 file is not read: 1 .svg (convert to JPEG or PNG)" in dataset.notes


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_a_picture_without_an_extension_is_read(kind, tmp_path):
    formats.register()
    (tmp_path / "d").mkdir()
    with open(tmp_path / "d" / "picture", "wb") as file:
        Image.new("RGB", (40, 30), "red").save(file, kind)
    assert below(str(tmp_path / "d"), EXAMPLES) == (["picture"], Counter())
    assert EXAMPLES.read(str(tmp_path / "d" / "picture"))[0][5, 5, 0] > 200


@pytest.mark.parametrize(
    "content", [b"", b"BMW is a make of cars", b"RIFF\0\0\0\0WAVEfmt ", b"GIF", b"\0\0\0\x18ftypmp42\0\0\0\0"]
)
def test_what_only_begins_like_a_picture_is_none(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    assert below(str(tmp_path), EXAMPLES) == ([], Counter({"": 1}))


def test_without_the_extra_the_sentence_names_it(tmp_path, monkeypatch):
    root = two_classes(tmp_path / "d", 5)
    formats.register()
    for i in range(2):
        Image.new("RGB", (40, 30), (90 * i, 10, 10)).save(root / "cats" / f"{i}.HEIC")
    assert sum(sizes(load(root)).values()) == 12
    monkeypatch.setattr(Images, "suffixes", formats.SUFFIXES - formats.HEIC)
    dataset = load(root)
    assert sum(sizes(dataset).values()) == 10
    assert dataset.notes == (f"option data={root}: 2 files are not read: 2 .heic (install 'tlapp[heif]')",)


def test_many_kinds_are_counted_together():
    unread = Counter({f".{kind}": count for count, kind in enumerate("abcdefg", 1)})
    assert kinds_in_words(unread, EXAMPLES) == "7 .g, 6 .f, 5 .e, 4 .d, 3 .c, 3 of 2 other kinds"
    assert unread_note(Counter({".a": 1}), EXAMPLES) == "1 file is not read: 1 .a"
