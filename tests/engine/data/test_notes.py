"""What a person should know about the data is told in a note."""

import pytest
from helpers.image_sets import load, names, pictures, two_classes
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


def test_a_clean_set_has_no_notes(tmp_path):
    assert load(two_classes(tmp_path / "d")).notes == ()


def test_imbalance_is_told(tmp_path):
    pictures(tmp_path / "d" / "cats", 40), pictures(tmp_path / "d" / "dogs", 10)
    pictures(tmp_path / "e" / "cats", 30), pictures(tmp_path / "e" / "dogs", 10)
    assert any("4.3 to 1 in train: cats 26, dogs 6" in note for note in load(tmp_path / "d").notes)
    assert load(tmp_path / "e", val=tmp_path / "d", test=tmp_path / "d").notes[0].startswith("the same picture")


def test_a_class_too_small_to_split_is_told(tmp_path):
    root = two_classes(tmp_path / "d", 6)
    pictures(root / "owls", 2)
    dataset = load(root)
    assert [note for note in dataset.notes if "no picture of owls" in note and note.startswith(("val", "test"))][1:]
    assert (dataset.streams["train"].labels == 2).sum() == 2


def test_copies_stay_together_and_are_told(tmp_path):
    root = two_classes(tmp_path / "d", 12)
    for i in range(1, 13):
        (root / "cats" / f"copy{i}.png").write_bytes((root / "cats" / f"{i}.png").read_bytes())
        Image.open(root / "dogs" / f"{i}.png").save(root / "dogs" / f"again{i}.bmp")
    for seed in range(4):
        dataset = load(root, seed=seed)
        where = {digest: name for name, stream in dataset.streams.items() for digest in stream.digests}
        assert sum(len(set(stream.digests)) for stream in dataset.streams.values()) == len(where) == 36
        whole = {name: names(stream, root) for name, stream in dataset.streams.items()}
        for i in range(1, 13):
            for pair in ({f"cats/{i}.png", f"cats/copy{i}.png"}, {f"dogs/{i}.png", f"dogs/again{i}.bmp"}):
                assert any(pair <= found for found in whole.values())
    assert any("train holds" in note and "copies of other pictures" in note for note in dataset.notes)
    assert not any("the same picture in" in note for note in dataset.notes)


def test_the_same_picture_in_train_and_test_is_told(tmp_path):
    train, test = two_classes(tmp_path / "d" / "train", 8), two_classes(tmp_path / "d" / "test", 4, seed=3)
    Image.open(train / "cats" / "2.png").save(test / "cats" / "leak.tiff")
    (note,) = (note for note in load(tmp_path / "d").notes if "the same picture in" in note and "and test" in note)
    assert "1 in all" in note and "2.png" in note and "leak.tiff" in note


def test_a_picture_under_two_classes_is_told(tmp_path):
    root = two_classes(tmp_path / "d", 8)
    (root / "cats" / "x.png").write_bytes((root / "dogs" / "2.png").read_bytes())
    (note,) = (note for note in load(root).notes if "under two labels" in note)
    assert "x.png (cats)" in note and "2.png (dogs)" in note


def test_classes_that_look_like_several_labels_are_told(tmp_path):
    for number, name in enumerate(("cat;dog", "dog")):
        for copy in range(3):
            path = tmp_path / name / f"{copy}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (8, 8), (number * 90, copy * 50, 10)).save(path)
    assert any(
        note.startswith("classes such as cat;dog are one class each; with option head=multilabel")
        for note in load(tmp_path).notes
    )
