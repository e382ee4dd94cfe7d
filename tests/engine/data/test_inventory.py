"""Every example that was listed is in data.csv, and every problem in problems.csv, the worst kind first."""

from __future__ import annotations

import csv

import pytest
from helpers.image_sets import load, pictures, two_classes
from PIL import Image

from tlapp.engine.cache import rowfile, store
from tlapp.engine.data import streams
from tlapp.engine.data.inventory import Problem
from tlapp.engine.runs.folder import RunFolder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def messy(tmp_path):
    """A copy in train, a picture of train in test, one in val under another class, and a file that is bad."""
    root = tmp_path / "d"
    for seed, (split, count) in enumerate((("train", 6), ("val", 3), ("test", 3))):
        two_classes(root / split, count, seed)
    one = (root / "train" / "cats" / "1.png").read_bytes()
    (root / "train" / "cats" / "copy.png").write_bytes(one)
    (root / "test" / "cats" / "leak.png").write_bytes(one)
    (root / "val" / "dogs" / "other.png").write_bytes((root / "train" / "cats" / "2.png").read_bytes())
    (root / "train" / "dogs" / "bad.png").write_bytes(b"words")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(root / "train" / "cats" / "wide.jpg", exif=exif.tobytes())
    return root


def problems(root):
    def path(name):
        return str(root / name)

    return [
        Problem(path("train/dogs/bad.png"), "cannot be read: not a picture"),
        Problem(path("val/dogs/other.png"), "the same under two labels: dogs, and cats there", path("train/cats/2.png")),
        Problem(path("val/dogs/other.png"), "in val, and the same in train", path("train/cats/2.png")),
        Problem(path("test/cats/leak.png"), "in test, and the same in train", path("train/cats/1.png")),
        Problem(path("train/cats/copy.png"), "a copy in train", path("train/cats/1.png")),
    ]


def test_every_problem_is_listed_the_worst_first(messy, monkeypatch):
    monkeypatch.chdir(messy.parent)
    found = load("d", on_bad="skip").inventory.problems  # paths are full ones, though the option's is not
    assert sorted(found) == sorted(problems(messy))
    kinds = [problem.problem.partition(" ")[0] for problem in found]
    assert kinds == ["cannot", "the", "in", "in", "a"]


def test_every_file_is_listed(messy, tmp_path):
    dataset = load(messy, on_bad="skip")
    files = RunFolder(tmp_path)
    files.write_data(dataset.inventory.listed)
    files.write_problems(dataset.inventory.problems)
    with open(tmp_path / "data.csv", newline="") as file:
        rows = {row.pop("path"): row for row in csv.DictReader(file)}
    assert set(rows) == {str(path) for path in messy.rglob("*.*")}
    contents = {path: row.pop("content") for path, row in rows.items()}
    one = contents[str(messy / "train/cats/1.png")]
    assert one == contents[str(messy / "test/cats/leak.png")] and list(contents.values()).count(one) == 3
    assert contents[str(messy / "train/dogs/bad.png")] == ""
    first, copy = rows[str(messy / "train/cats/1.png")], rows[str(messy / "train/cats/copy.png")]
    size = str((messy / "train/cats/1.png").stat().st_size)
    assert first == {
        "split": "train", "label": "cats", "bytes": size, "width": "6", "height": "6", "copies": "2", "copy_group": "1",
        "problem": "",
    }  # fmt: skip
    assert copy == {**first, "problem": "a copy in train"} == {**rows[str(messy / "test/cats/leak.png")], "split": "train",
                                                               "problem": "a copy in train"}  # fmt: skip
    other = rows[str(messy / "val/dogs/other.png")]
    assert other["copy_group"] == rows[str(messy / "train/cats/2.png")]["copy_group"] == "2"
    assert other["problem"] == "the same under two labels: dogs, and cats there; in val, and the same in train"
    wide, bad = rows[str(messy / "train/cats/wide.jpg")], rows[str(messy / "train/dogs/bad.png")]
    assert (wide["width"], wide["height"], wide["copies"], wide["copy_group"]) == ("20", "40", "0", "")  # as it is seen
    assert (bad["split"], bad["label"], bad["bytes"], bad["width"]) == ("", "dogs", "5", "")
    with open(tmp_path / "problems.csv", newline="") as file:
        assert sorted(tuple(row) for row in list(csv.reader(file))[1:]) == sorted(map(tuple, problems(messy)))


def test_a_clean_set_has_no_problems_and_sizes_come_from_the_cache(tmp_path):
    root = two_classes(tmp_path / "d", 5)
    first, second = load(root).inventory, load(root).inventory
    assert first == second and first.problems == () and {(row.width, row.height) for row in first.listed} == {(6, 6)}


@pytest.mark.parametrize("bad", [False, True])
def test_an_entry_of_an_earlier_version_has_no_sizes_and_is_read_anew_where_it_has_bad_rows(bad, tmp_path, monkeypatch):
    root, commit = two_classes(tmp_path / "d", 5), rowfile.Writer.commit
    if bad:
        (root / "cats" / "bad.png").write_bytes(b"words")
    later = ("shapes", "family", "names")
    monkeypatch.setattr(
        rowfile.Writer, "commit", lambda self, extra: commit(self, {k: v for k, v in extra.items() if k not in later})
    )
    load(root, on_bad="skip")
    monkeypatch.setattr(rowfile.Writer, "commit", commit)
    (entry,) = store.entries()
    again = load(root, on_bad="skip")
    assert {row.width for row in again.inventory.listed if row.split} == {6 if bad else None}
    assert [each.key for each in store.entries()] == [entry.key]


def test_the_built_in_set_is_listed():
    dataset = load("builtin:digits")
    row = dataset.inventory.listed[0]
    assert (row.source[:15], row.bytes, row.width, row.height, row.copies) == ("builtin:digits/", 64, 8, 8, 0)
    assert len(dataset.inventory.listed) == 1797 == len(streams.split_rows(dataset))


def test_sizes_are_found_by_the_names_in_the_streams_also_where_those_are_relative(tmp_path, monkeypatch):
    two_classes(tmp_path / "d", 5)
    monkeypatch.chdir(tmp_path)
    dataset = load("d")
    files = {name for stream in dataset.streams.values() for name in stream.files}
    assert set(dataset.sides) == files and not any(name.startswith("/") for name in files)
    assert set(dataset.sides.values()) == {(6, 6)} and set(load("builtin:digits").sides.values()) == {(8, 8)}


def test_labels_of_the_target_are_no_problem(tmp_path):
    """A target may hold what train holds: it is not judged by."""
    root = two_classes(tmp_path / "d", 5)
    target = pictures(tmp_path / "flat", 3)
    (target / "x.png").write_bytes((root / "cats" / "1.png").read_bytes())
    assert load(root, target=target).inventory.problems == ()
