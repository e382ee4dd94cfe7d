"""Data that cannot be used is refused in one sentence that names the option and what would be right."""

import os

import pytest
from helpers.image_sets import load, pictures, table, two_classes

from tlapp.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


def bad_layouts(base):
    """Name -> (options, what the sentence must say)."""
    good, empty = two_classes(base / "good", 4), base / "empty"
    two_classes(empty, 3)
    (empty / "birds").mkdir()
    two_classes(base / "unreadable", 3)
    (base / "unreadable" / "owls").mkdir()
    (base / "unreadable" / "owls" / "1.SVG").write_text("x")
    pictures(base / "flat", 3)
    pictures(base / "one" / "photos" / "cats", 3)
    (base / "nothing").mkdir()
    (base / "archive.zip").write_text("x")
    two_classes(base / "tested" / "test", 3)
    pictures(base / "unsorted" / "train", 3)
    two_classes(base / "strange", 3)
    pictures(base / "strange" / "Dog", 3)
    two_classes(base / "few", 2)
    csv = "path,label,split,group"
    cat = "good/cats/2.png"
    lines = ["good/cats/1.png,cats,train,a", "good/dogs/1.png,dogs,test,b"]
    return {
        "no such set": ({"data": "builtin:sings"}, ["data=builtin:sings", "no built-in set of that name", "builtin:signs"]),
        "missing": ({"data": base / "nowhere"}, ["option data=", ": there is no such file or folder", "nowhere"]),
        "missing test": ({"data": good, "test": base / "nowhere"}, ["option test=", ": there is no such file or folder"]),
        "nothing": ({"data": base / "nothing"}, ["option data", "neither class folders nor pictures"]),
        "flat": ({"data": base / "flat"}, ["option data", "pictures but no class folders", "folder of its name"]),
        "unsorted train": ({"data": base / "unsorted"}, ["train: holds pictures but no class folders"]),
        "one class": ({"data": base / "one"}, ["at least two classes", "one, photos", "did you mean option data=", "one/photos"]),
        "empty class": ({"data": empty}, ["class folder birds holds no pictures", ".webp"]),
        "unsupported": ({"data": base / "unreadable"}, ["owls holds no pictures, but 1 .svg (convert to", ".webp"]),
        "zip": ({"data": base / "archive.zip"}, ["a folder or a .csv file", "unpack it first"]),
        "no train": ({"data": base / "tested"}, ["holds test but no train folder"]),
        "test class": ({"data": good, "test": base / "strange"}, ["option test", "(cats, dogs): Dog (did you mean dogs?)"]),
        "val class": ({"data": good, "val": base / "strange"}, ["option val", ": Dog"]),
        "target class": ({"data": good, "target": base / "strange"}, ["option target", ": Dog", "without labels"]),
        "target nothing": ({"data": good, "target": base / "nothing"}, ["option target", "no pictures there"]),
        "aux one class": ({"data": good, "aux": base / "one"}, ["option aux", "at least two classes"]),
        "few": ({"data": base / "few"}, ["no class has the 3 pictures", "option val"]),
        "shares": ({"data": good, "val_share": 0.5, "test_share": 0.5}, ["option val_share=0.5", "test_share=0.5", "below 1"]),
        "columns": ({"data": table(base / "1.csv", "file;label", "a;b")}, ["path,label", "commas", "Received: file;label"]),
        "no columns": ({"data": table(base / "2.csv", "")}, ["path,label", "Received: nothing"]),
        "no rows": ({"data": table(base / "3.csv", csv)}, ["3.csv: has no rows"]),
        "csv path": ({"data": table(base / "4.csv", csv, *lines, "gone.png,cats,train,")}, ["4.csv: line 4: there is no file"]),
        "csv folder": ({"data": table(base / "5.csv", csv, "good/cats,cats,train,")}, ["5.csv: line 2: there is no file"]),
        "csv no path": ({"data": table(base / "6.csv", csv, ",cats,train,")}, ["line 2: its path is empty"]),
        "csv label": ({"data": table(base / "7.csv", csv, *lines, f"{cat},,train,")}, ["line 4: its label is empty"]),
        "csv split": ({"data": table(base / "8.csv", csv, f"{cat},cats,tset,")}, ["line 2", "val or test. Received: tset"]),
        "csv no split": ({"data": table(base / "9.csv", csv, "good/cats/1.png,cats,,")}, ["line 2", "Received: nothing"]),
        "csv group": ({"data": table(base / "10.csv", csv, *lines, f"{cat},cats,val,a")}, ["group a is in train and val"]),
        "csv no train": ({"data": table(base / "11.csv", csv, lines[1])}, ["at least two classes", "no row is of split train"]),
        "csv no test": ({"data": good, "test": table(base / "12.csv", csv, lines[0])}, ["option test", "no row test"]),
        "target half": ({"data": good, "target": table(base / "13.csv", "path,label", f"{cat},cats", f"{cat},")},
                        ["1 of 2 rows have no label"]),
        "csv one class": ({"data": table(base / "14.csv", csv, lines[0])}, ["at least two classes. Received: one, cats"]),
    }  # fmt: skip


BAD = [
    "no such set",
    "missing", "missing test", "nothing", "flat", "unsorted train", "one class", "empty class", "unsupported", "zip", "no train",
    "test class", "val class", "target class", "target nothing", "aux one class", "few", "shares", "columns", "no columns",
    "no rows",
    "csv path", "csv folder", "csv no path", "csv label", "csv split", "csv no split", "csv group", "csv no train", "csv no test",
    "target half", "csv one class",
]  # fmt: skip


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    return bad_layouts(tmp_path_factory.mktemp("layouts"))


def test_every_bad_layout_is_tried(layouts):
    assert list(layouts) == BAD


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_flag_and_what_would_be_right(layouts, name):
    options, parts = dict(layouts[name][0]), layouts[name][1]
    with pytest.raises(UserError) as told:
        load(options.pop("data") if "data" in options else None, **options)
    sentence = str(told.value).replace(os.sep, "/")
    assert all(part in sentence for part in parts), sentence


@pytest.mark.parametrize("content", [b"path,label\n\xff\xfe\x00,a\n", "path,label\nkät.png,a\n".encode("latin-1")])
def test_a_csv_of_another_encoding_is_told(tmp_path, content):
    (tmp_path / "d.csv").write_bytes(content)
    with pytest.raises(UserError, match="UTF-8"):
        load(tmp_path / "d.csv")
