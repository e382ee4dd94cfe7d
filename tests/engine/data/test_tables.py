"""CSV files, the target, the auxiliary set and the built-in digits."""

import os
import sys

import numpy as np
import pytest
from helpers.image_sets import load, names, pictures, sizes, table, two_classes

from tlapp.engine.data import folders, streams
from tlapp.engine.data.measuring import load_labelled
from tlapp.engine.inputs import images
from tlapp.engine.inputs.digits import digits
from tlapp.engine.inputs.images import Images
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

SIZE = 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


def test_csv(tmp_path):
    two_classes(tmp_path / "pics", 4)
    lines = [f"pics/{name}/{i}.png,{name}" for name in ("cats", "dogs") for i in (1, 2, 3, 4)]
    path = tmp_path / "d.csv"
    path.write_text("\ufeffPath , label\n" + "\n".join(lines) + "\n\n", encoding="utf-8")
    dataset = load(path)
    assert dataset.classes == ("cats", "dogs") and sizes(dataset) == {"train": 4, "val": 2, "test": 2}


def test_csv_with_splits_repeats_a_run(tmp_path):
    dataset = load(two_classes(tmp_path / "pics", 12))
    rows = streams.split_rows(dataset)
    again = load(
        table(tmp_path / "d.csv", "path,label,split", *(f"{row.source},{row.label},{row.split}" for row in rows)), seed=5
    )
    assert streams.split_rows(again) == rows and os.path.isabs(rows[0].source)


def test_csv_for_one_stream_gives_its_rows_of_that_split(tmp_path):
    root = two_classes(tmp_path / "d", 6)
    other = two_classes(tmp_path / "e", 2, seed=4)
    lines = [f"e/{name}/{i}.png,{name},{split}" for name in ("cats", "dogs") for i, split in ((1, "test"), (2, "train"))]
    dataset = load(root, test=table(tmp_path / "d.csv", "path,label,split", *lines))
    assert names(dataset.streams["test"], other) == {"cats/1.png", "dogs/1.png"}


@pytest.mark.parametrize("kind", ["classes", "flat", "flat with folders", "csv", "csv without labels"])
def test_target(tmp_path, kind):
    root, target = two_classes(tmp_path / "d", 6), tmp_path / "t"
    two_classes(target, 3, seed=8) if kind in ("classes", "flat with folders", "csv", "csv without labels") else pictures(
        target, 6
    )
    if kind == "flat with folders":
        pictures(target, 6, seed=9)
    if kind.startswith("csv"):
        ends = {"csv": ",{}", "csv without labels": ""}[kind]
        lines = [f"t/{name}/{i}.png{ends.format(name)}" for name in ("cats", "dogs") for i in (1, 2, 3)]
        target = table(tmp_path / "t.csv", "path,label" if ends else "path", *lines)
    stream = load(root, target=target).streams["target"]
    assert len(stream) == (12 if kind == "flat with folders" else 6)
    assert (stream.labels is None) == (kind not in ("classes", "csv"))
    if stream.labels is not None:
        assert stream.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_aux_has_its_own_classes(tmp_path):
    for name in ("b", "a", "c"):
        pictures(tmp_path / "x" / name, 2)
    dataset = load(two_classes(tmp_path / "d", 6), aux=tmp_path / "x")
    assert dataset.classes_of("aux") == ("a", "b", "c") and dataset.streams["aux"].labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_support_and_query_share_classes_of_their_own(tmp_path):
    root = two_classes(tmp_path / "d", 6)
    for name in ("b", "a", "c"):
        pictures(tmp_path / "s" / name, 2)
    pictures(tmp_path / "q" / "c", 3)
    dataset = load(root, support=tmp_path / "s", query=tmp_path / "q")
    assert dataset.classes_of("support") == dataset.classes_of("query") == ("a", "b", "c")
    assert dataset.streams["support"].labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert dataset.streams["query"].labels.tolist() == [2, 2, 2] and dataset.classes == ("cats", "dogs")
    task = streams.task_of(dataset, {}, "one")
    assert task.support_classes == ("a", "b", "c") and task.aux_classes == ()


def test_a_class_that_support_does_not_have_is_refused(tmp_path):
    for name in ("a", "b"):
        pictures(tmp_path / "s" / name, 2)
    pictures(tmp_path / "q" / "d", 2)
    with pytest.raises(UserError, match="option query"):
        load(two_classes(tmp_path / "d", 6), support=tmp_path / "s", query=tmp_path / "q")


def test_nothing_of_support_trains_that_is_tested_on(tmp_path):
    root = two_classes(tmp_path / "d", 6)
    dataset = load(root)
    judged = [file for name in ("val", "test") for file in dataset.streams[name].files]
    trained = dataset.streams["train"].files
    for number, source in enumerate((*judged, *trained)):
        folder = tmp_path / "s" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes((tmp_path / "d" / source).read_bytes())
    kept = load(root, support=tmp_path / "s").streams["support"]
    assert set(kept.contents) == {content for content in dataset.streams["train"].contents}
    assert not set(kept.contents) & {c for name in ("val", "test") for c in dataset.streams[name].contents}


def test_support_that_is_all_judged_by_is_told(tmp_path):
    root = two_classes(tmp_path / "d", 6)
    dataset = load(root)
    for number, source in enumerate(file for name in ("val", "test") for file in dataset.streams[name].files):
        folder = tmp_path / "s" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes((tmp_path / "d" / source).read_bytes())
    with pytest.raises(UserError, match=r"option support=.*: no picture of a, b is left to train on"):
        load(root, support=tmp_path / "s")


def test_digits():
    dataset = streams.load(RunOptions(), Images(SIZE))
    assert dataset.classes == tuple("0123456789") and sum(sizes(dataset).values()) == 1797
    stream = dataset.streams["train"]
    shown, labels = digits()
    first = int(stream.files[0].rpartition("/")[2])
    np.testing.assert_array_equal(stream.examples.take([0])[0][0], images.from_array(shown[first], SIZE))
    assert stream.labels[0] == labels[first] and shown.max() == 255
    assert streams.split_rows(dataset)[0].source == stream.files[0]


def test_the_table_of_a_runs_splits_repeats_it_from_any_folder_whatever_else_is_in_it(tmp_path, monkeypatch):
    two_classes(tmp_path / "d", 6), two_classes(tmp_path / "aux", 6, seed=5), pictures(tmp_path / "t", 3)
    monkeypatch.chdir(tmp_path)
    rows = streams.split_rows(load("d", target="t", aux="aux"))
    (tmp_path / "run").mkdir()
    path = table(tmp_path / "run" / "splits.csv", "path,label,split", *(",".join(row) for row in rows))
    monkeypatch.chdir("/")
    again = load(path, seed=9, target=path)
    judged = [row for row in rows if row.split in ("train", "val", "test", "target")]
    assert streams.split_rows(again) == judged
    assert again.notes[0] == f"option data={path}: not used, 15 rows of split aux, aux_test, target"
    test, _ = load_labelled("data", str(path), ("cats", "dogs"), Images(SIZE))
    assert [*test.files] == [row.source for row in rows if row.split == "test"]


def test_the_table_of_a_run_on_the_built_in_set_repeats_it(tmp_path):
    rows = streams.split_rows(load("builtin:digits"))
    path = table(tmp_path / "splits.csv", "path,label,split", *(",".join(row) for row in rows))
    assert streams.split_rows(load(path, seed=9)) == rows


@pytest.mark.parametrize("cell", ["builtin:digits/9999", "builtin:digits/x"])
def test_what_only_looks_like_the_built_in_set_is_no_file(cell, tmp_path):
    with pytest.raises(UserError, match=f"line 2: there is no file .*{cell}"):
        load(table(tmp_path / "d.csv", "path,label", f"{cell},a"))


REPORTS = {
    "answers": ("path,label,probability,error", "{},cats,0.9,", "bad.jpg,,,not a picture"),
    "data.csv": ("path,split,label,problem", "{},test,cats,a copy in test", "bad.jpg,,dogs,cannot be read: not a picture"),
}


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("option", ["data", "target"])
def test_rows_that_say_what_is_wrong_are_left_out(option, kind, tmp_path):
    header, good, bad = REPORTS[kind]
    pictures(tmp_path, 2)
    path = table(tmp_path / "a.csv", header, good.format("1.png"), bad, bad, good.format("2.png"))
    listed = {"data": folders.labelled, "target": folders.any_examples}[option](option, str(path), Images(SIZE))
    assert [item.name for item in listed.items] == ["1.png", "2.png"]
    left_out, *more = listed.notes
    assert left_out == f"option {option}={path}: not used, 2 rows whose column error or problem says what is wrong"
    answered = f"option {option}={path}: its labels are the answers of a model (it has a column error), which may be wrong"
    assert more == ([answered] if kind == "answers" else [])


@pytest.mark.parametrize("line", ["bad.jpg,,", "gone.png,,why not"])
def test_other_rows_without_a_label_are_refused(line, tmp_path):
    path = table(tmp_path / "a.csv", "path,label,error", "gone.png,,not a picture", line.replace("why not", ""))
    with pytest.raises(UserError, match="line 3: "):
        folders.labelled("data", str(path), Images(SIZE))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf_8_are_read_and_all_else_is_refused(tmp_path):
    name = "caf\udce9.png"
    pictures(tmp_path, 1)
    (tmp_path / "1.png").rename(tmp_path / name)
    path = tmp_path / "a.csv"
    path.write_bytes(f"path,label,error\n{name},cats,\n{name.replace('c', 'x')},,gone\n".encode(errors="surrogateescape"))
    (item,) = folders.labelled("data", str(path), Images(SIZE)).items
    assert item.source == str(tmp_path / name)
    for content in (
        f"path,label\n{name},h\udce4hne\n",
        f"path,label\nx{name},cats\n",
        f"path,label,st\udce4tte\n{name},cats,a\n",
    ):
        path.write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(UserError, match="is not UTF-8 but seems to be Windows-1252"):
            folders.labelled("data", str(path), Images(SIZE))
