"""Shards as data: a folder and its shard are the same data, and what is wrong with a shard is said in a sentence."""

import os

import numpy as np
import pytest
from helpers.image_sets import SIZE, load, sizes, table, two_classes
from helpers.shards import example, files, records, records_of, tar, tar_of

from tlapp.engine.data.naming import named
from tlapp.engine.inputs import lazy_rows
from tlapp.engine.inputs.decoders import Decoders
from tlapp.engine.inputs.images import Images
from tlapp.engine.inputs.recognition import kind_of
from tlapp.errors import UserError
from tlapp.settings import absolute


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    return two_classes(tmp_path / "d", 12)


def fault(where, **options):
    with pytest.raises(UserError) as told:
        load(where, **options)
    return str(told.value)


def content(dataset):
    """All that training sees of a dataset."""
    return {
        name: (stream.digests, stream.contents, stream.labels.tolist(), stream.examples.take(np.arange(len(stream)))[0].tobytes())
        for name, stream in dataset.streams.items()
    }


@pytest.mark.parametrize("numbered", [False, True])
def test_a_folder_and_its_tar_are_the_same_to_the_bit(root, tmp_path, numbered, monkeypatch):
    folder = load(root)
    monkeypatch.setattr(Decoders, "blocks", lambda self, sources: pytest.fail("the cache has all of them"))
    shard = load(tar_of(root, tmp_path / "shards" / "a.tar", numbered))
    assert content(shard) == content(folder) and shard.classes == folder.classes == ("cats", "dogs")
    assert shard.streams["val"].files[0].startswith(f"{tmp_path}/shards/a.tar/")
    assert {
        os.path.relpath(file, tmp_path / "shards" / "a.tar") for stream in shard.streams.values() for file in stream.files
    } == {f"{label}/{file.name}" for label, file in files(root)}
    assert [row.bytes for row in shard.inventory.listed] == [row.bytes for row in folder.inventory.listed]


def test_records_hold_the_same_pictures(root, tmp_path):
    folder, shard = load(root), load(records_of(root, tmp_path / "a.tfrecord"))
    of_shard, of_folder = ([each for stream in found.streams.values() for each in stream.contents] for found in (shard, folder))
    assert sorted(of_shard) == sorted(of_folder)
    assert shard.classes == folder.classes and sizes(shard) == sizes(folder)
    assert f"{tmp_path}/a.tfrecord/0" in sum((stream.files for stream in shard.streams.values()), ())


def test_rows_of_shards_that_are_decoded_each_time(root, tmp_path, monkeypatch):
    path = tar_of(root, tmp_path / "a.tar")
    expected = content(load(root))
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", "10K")
    dataset = load(path)
    assert isinstance(dataset.streams["train"].examples.tables[0], lazy_rows.LazyRows) and content(dataset) == expected


@pytest.mark.parametrize(
    "names", [("train/0.tar", "val/0.tar", "test/0.tar"), ("a-train-0.tar", "a-validation-0.tar", "a-test-0.tar")]
)
def test_splits_of_folders_and_of_names(root, tmp_path, names):
    for number, name in enumerate(names):
        tar_of(two_classes(tmp_path / str(number), 2 + number, seed=number), tmp_path / "s" / name)
    assert sizes(load(tmp_path / "s")) == {"train": 4, "val": 6, "test": 8}
    assert sizes(load(root, test=tmp_path / "s"))["test"] == 8
    assert sizes(load(root, test=tmp_path / "s" / names[1]))["test"] == 6  # a single one is what it is said to be


def test_shards_that_no_split_names_are_split(root, tmp_path):
    for name in ("a-0.tar", "a-1.tar"):
        tar_of(two_classes(tmp_path / name[:3], 6, seed=int(name[2])), tmp_path / "s" / name)
    whole = sizes(load(tmp_path / "s"))
    assert sum(whole.values()) == 24 and whole.keys() == {"train", "val", "test"}
    assert sizes(load(tmp_path / "s" / "a-{0..1}.tar")) == sizes(load(tmp_path / "s" / "a-*.tar")) == whole
    tar_of(root, tmp_path / "s" / "train-2.tar")
    tar_of(root, tmp_path / "s" / "test-2.tar")
    dataset = load(tmp_path / "s")
    assert any("not used, as their names say neither train, val nor test: a-0.tar, a-1.tar" in note for note in dataset.notes)
    tar_of(root, tmp_path / "s" / "test-of-train.tar")
    assert "test-of-train.tar: its name says test and train; rename it" in fault(tmp_path / "s")


def test_faults_name_the_shard(root, tmp_path):
    path = tar(tmp_path / "s" / "a.tar", [("1.jpg", b"x")])
    assert "1.jpg has no label; expected 1.cls, .json or .txt right beside it" in fault(path)
    assert fault(path.parent).startswith(f"option data={path.parent}: a.tar: 1.jpg has no label")
    path.write_bytes(b"no tar")
    assert fault(path) == f"option data={path}: not a tar file"
    assert fault(tmp_path / "s" / "b-{0..3}.tar") == f"option data={tmp_path}/s/b-{{0..3}}.tar: b-0.tar: there is no such file"
    (tmp_path / "s" / "b.tar.gz").write_bytes(b"")
    assert "b.tar.gz: compressed, and nothing in it can be read at its place; decompress it once: gunzip b.tar.gz" in fault(
        path.parent
    )
    assert "no pictures there, but 1 .npy" in fault(tar(tmp_path / "c" / "c.tar", [("1.npy", b"x")]))
    bare = records(tmp_path / "e" / "b.tfrecord", [example({"image/encoded": b"x"})])
    assert fault(bare) == f"option data={bare}: record 0 has no label"
    (tmp_path / "c" / "classes.txt").write_text("cats\ndogs\n")
    high = records(tmp_path / "c" / "b.tfrecord", [example({"image/encoded": b"x", "label": 2})])
    assert fault(high) == f"option data={high}: record 0: its label is 2, and classes.txt names 2 classes, from 0"


def test_bad_pictures_are_left_out_or_named(root, tmp_path):
    path = tar_of(root, tmp_path / "a.tar")
    spoilt = records_of(root, tmp_path / "a.tfrecord")
    raw = bytearray(spoilt.read_bytes())
    raw[60] ^= 1
    spoilt.write_bytes(raw)
    assert f"1 picture cannot be read: {spoilt}/0: record 0: its checksum is wrong" in fault(spoilt)
    (root / "cats" / "1.png").write_bytes(b"no picture")
    tar_of(root, path)
    assert f"{path}/cats/1.png: not a picture" in fault(path)
    assert sum(sizes(load(path, on_bad="skip")).values()) == sum(sizes(load(spoilt, on_bad="skip")).values()) == 23


def test_labels_that_may_be_missing(root, tmp_path):
    bare = tar(tmp_path / "t.tar", [(f"{file.parent.name}-{file.name}", file.read_bytes()) for _, file in files(root)])
    assert load(root, target=bare).streams["target"].labels is None
    assert load(root, target=tar_of(root, tmp_path / "l.tar")).streams["target"].labels is not None


def test_a_table_may_name_pictures_of_shards(root, tmp_path):
    tar_of(root, tmp_path / "a.tar")
    rows = [f"a.tar/{label}/{file.name},{label}" for label, file in files(root)]
    assert sum(sizes(load(table(tmp_path / "a.csv", "path,label", *rows))).values()) == 24
    missing = table(tmp_path / "a.csv", "path,label", *rows, "a.tar/cats/99.png,cats")
    assert f"line 26: there is no file {tmp_path}/a.tar/cats/99.png" in fault(missing)


def test_pictures_of_shards_are_named_one_by_one(root, tmp_path):
    path, examples = tar_of(root, tmp_path / "a.tar"), Images(SIZE)
    whole = [f"{path}/{label}/{file.name}" for label, file in files(root)]
    assert named([str(path)], examples).sources == whole
    assert named([whole[3]], examples).sources == whole[3:4]
    path.write_bytes(b"no tar")
    assert named([str(path)], examples).bad == {str(path): "not a tar file"}


def test_data_in_shards_are_known_as_pictures(root, tmp_path, monkeypatch):
    tar_of(root, tmp_path / "s" / "a.tar", numbered=True)
    assert kind_of(str(tmp_path / "s")) == kind_of(str(tmp_path / "s" / "*.tar")) == "image"
    monkeypatch.chdir(tmp_path)
    assert absolute("s/a-*.tar") == "s/a-*.tar" and absolute("s/*.tar") == f"{tmp_path}/s/*.tar"
