"""Folders and files as disks, archives and people leave them: loops, odd names, odd CSVs, very many files."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tlapp import registry
from tlapp.cli.main import run
from tlapp.engine.data import streams
from tlapp.engine.inputs.images import Images
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.folder import ANY_NAME
from tlapp.errors import UserError
from tlapp.testing import TinyBackbones
from tlapp.words import printable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")

SIZE = 32
ODD = {
    "line end": "a\nb.png", "two line ends": "\r\n.png", "emoji": "🐈‍⬛😀.png", "255 bytes": "x" * 251 + ".png",
    "255 in UTF-8": "ä" * 125 + "a.png", "no UTF-8": "caf\udce9\udcff.png", "escape code": "\x1b[2Jgone.png",
    "quotes and commas": "\"a', \"\"b,;.png", "glob": "[0-9]*?.png", "spaces": "  a  .png", "dashes": "--help.png",
    "percent": "%s%n{0}$HOME`id`.png", "backslash": "a\\b.png", "right to left": "\u202egnp.exe.png", "no letters": "_.png",
    "decomposed": "a\u0308.png",
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


def draw(path, number):
    """A picture of its own."""
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(path, "png")


def folders(root, each=4, classes=("cats", "dogs")):
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(each):
            draw(root / name / f"{i}.png", 100 * label + i)
    return root


def load(where, **options):
    return streams.load(RunOptions(data=str(where), **options), Images(SIZE))


def files(dataset):
    return sorted(file for stream in dataset.streams.values() for file in stream.files)


def written(path, *rows, **how):
    """A CSV, as a spreadsheet writes it."""
    text = io.StringIO()
    csv.writer(text, **how).writerows([("path", "label"), *rows])
    path.write_bytes(text.getvalue().encode("utf-8", ANY_NAME))
    return path


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_a_picture_of_any_name_is_read(name, tmp_path):
    root = folders(tmp_path / "d")
    draw(root / "cats" / name, 7)
    dataset = load(root)
    assert str(root / "cats" / name) in files(dataset) and len(files(dataset)) == 9
    assert len(streams.split_rows(dataset)) == 9


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_a_bad_picture_of_any_name_is_told_in_a_line_without_codes(name, tmp_path, capfd):
    root = folders(tmp_path / "d")
    (root / "cats" / name).write_bytes(b"no picture")
    assert run(["train", "--plugin", "freeze", "--data", str(root), "--image-size", "32", "--run", str(tmp_path / "run")]) == 2
    last = capfd.readouterr().err.rstrip("\n").rpartition("\n")[2]
    assert last.startswith("tlapp: 1 picture cannot be read: ") and printable(name) in last and "\x1b" not in last


def test_a_run_on_odd_names_at_an_odd_place_goes_all_the_way(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(registry, "backbone", lambda identity, trust=False: (TinyBackbones(), "tiny"))
    root = folders(tmp_path / "caf\udce9 \n😀", each=8)
    for number, name in enumerate(ODD.values()):
        draw(root / "cats" / name, 50 + number)
    place = tmp_path / "run \udcff\n"
    assert run(["train", "--plugin", "freeze", "--epochs", "2", "--data", str(root), "--run", str(place)]) == 0
    with open(place / "splits.csv", encoding="utf-8", errors=ANY_NAME, newline="") as file:
        assert {row["path"] for row in csv.DictReader(file)} == {str(path) for path in root.rglob("*.png")}
    capfd.readouterr()
    odd = [str(root / "cats" / name) for name in ODD.values()]
    assert run(["predict", str(place), *odd, "--json"]) == 0
    assert [each["file"] for each in json.loads(capfd.readouterr().out)["predictions"]] == odd
    assert run(["predict", str(place), *odd]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.rpartition(": ")[0] for line in lines] == [printable(name) for name in odd]
    assert run(["evaluate", str(place), "--data", str(root), "--json"]) == 0


@pytest.mark.parametrize("name", ["a\nb", "caf\udce9", "a\u2028b", "\x85"])
def test_a_class_that_is_no_line_of_text_is_told(name, tmp_path):
    with pytest.raises(UserError, match="must be one line of Unicode text; rename it"):
        load(folders(tmp_path / "d", classes=("cats", name)))


@pytest.mark.parametrize("name", ["🐈‍⬛", "x" * 255, "ä" * 127, " cats ", "a, \"b\"; 'c'", "--help", "\u202estac"])
def test_a_class_may_be_called_so(name, tmp_path):
    root = folders(tmp_path / "d", classes=("cats", name))
    assert set(load(root).classes) == {"cats", name}


def test_links_to_themselves_to_each_other_and_upwards_end(tmp_path):
    root = folders(tmp_path / "d")
    for name, target in (
        ("self", "self"),
        ("this", "that"),
        ("that", "this"),
        ("up", "../.."),
        ("top", str(root)),
        ("gone", "nowhere"),
    ):
        (root / "cats" / name).symlink_to(target)
    expected = sorted(os.path.realpath(file) for file in root.rglob("*.png") if file.is_file())
    found = files(load(root))
    assert {os.path.realpath(file) for file in found} == set(expected) and len(found) < 20


@pytest.mark.parametrize("target", ["self.png", "nowhere.png"])
def test_a_picture_that_is_a_link_to_nothing_is_told(target, tmp_path):
    root = folders(tmp_path / "d")
    (root / "cats" / "self.png").symlink_to(target)
    with pytest.raises(UserError, match=r"self\.png: cannot be opened: (Too many levels of symbolic links|No such file)"):
        load(root)
    assert len(files(load(root, on_bad="skip"))) == 8


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("inside", ["cats", "cats/more", "."])
def test_a_folder_that_may_not_be_read_is_told(inside, tmp_path):
    root = folders(tmp_path / "d")
    (root / "cats" / "more").mkdir()
    (root / inside).chmod(0)
    try:
        with pytest.raises(UserError, match="cannot be listed: Permission denied"):
            load(root)
    finally:
        (root / inside).chmod(0o755)


def test_what_is_called_a_picture_and_is_no_file_is_told(tmp_path):
    root = folders(tmp_path / "d")
    os.mkfifo(root / "cats" / "pipe.png")
    with pytest.raises(UserError, match=r"pipe\.png: "):
        load(root)


def rows_of(root, path):
    return [(path(file), file.parent.name) for file in sorted(root.rglob("*.png"))]


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (".", str),
        ("tables", lambda file: f"../d/{file.parent.name}/{file.name}"),
        (".", lambda file: f"./d/../d//{file.parent.name}/./{file.name}"),
    ],
    ids=["absolute", "of the parent", "roundabout"],
)
@pytest.mark.parametrize("how", [{"quoting": csv.QUOTE_ALL}, {"lineterminator": "\n"}], ids=["quoted", "plain"])
def test_a_csv_names_files_wherever_they_are(place, path, how, tmp_path):
    root = folders(tmp_path / "d")
    (tmp_path / place).mkdir(exist_ok=True)
    table = written(tmp_path / place / "t.csv", *rows_of(root, path), **how)
    assert {os.path.realpath(file) for file in files(load(table))} == {str(path) for path in root.rglob("*.png")}
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert load(table).classes == ("cats", "dogs")


@pytest.mark.parametrize(
    "name", ["line end", "emoji", "255 bytes", "quotes and commas", "glob", "dashes", "right to left", "decomposed"]
)
def test_a_csv_names_odd_files(name, tmp_path):
    root = folders(tmp_path / "d")
    draw(root / "cats" / ODD[name], 7)
    table = written(tmp_path / "t.csv", *rows_of(root, lambda file: f"d/{file.parent.name}/{file.name}"))
    assert str(root / "cats" / ODD[name]) in files(load(table))


def test_quotes_without_end_and_bytes_that_are_no_text_are_told(tmp_path):
    folders(tmp_path / "d")
    for content, told in (
        (b'path,label\n"d/cats/1.png,cats\n', "t.csv"),
        (b"path,label\nd/\0.png,cats\n", "t.csv"),
        (b"\xff\xfe", "UTF-8"),
    ):
        (tmp_path / "t.csv").write_bytes(content)
        with pytest.raises(UserError, match=told):
            load(tmp_path / "t.csv")


LISTS = """
import resource, sys, time
from tlapp.engine.data import folders
from tlapp.engine.inputs.images import Images
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
items = folders.labelled("data", sys.argv[1], Images(32)).items
print(len(items), time.perf_counter() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def listed(root, count):
    """Make `count` files in one class folder; seconds and megabytes that their listing takes, in a process of its own."""
    folders(root, each=2)
    for i in range(count - 2):  # a file may have 65,000 links
        os.link(root / "cats" / f"{i % 2}.png", root / "cats" / f"picture-{i}.png")
    done = subprocess.run([sys.executable, "-c", LISTS, str(root)], capture_output=True, text=True, check=True)
    found, seconds, megabytes = map(float, done.stdout.split())
    print(f"{found:.0f} files listed in {seconds:.2f} s, {megabytes:.0f} MB")
    assert found == count + 2
    return seconds, megabytes


def test_thousands_of_files_in_a_folder_are_listed_at_once(tmp_path):
    seconds, megabytes = listed(tmp_path / "d", 2_000)
    assert seconds < 2 and megabytes < 20


@pytest.mark.slow
def test_a_hundred_thousand_files_in_a_folder_are_listed_in_seconds(tmp_path):
    seconds, megabytes = listed(tmp_path / "d", 100_000)
    assert seconds < 10 and megabytes < 200
