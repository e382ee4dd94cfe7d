"""Each image is decoded once: rows come from the cache afterwards, and from worker processes where that pays."""

import sys

import numpy as np
import pytest
from helpers.image_sets import load, sizes, spoil, two_classes
from PIL import Image

from tlapp.engine.cache import store
from tlapp.engine.data import streams
from tlapp.engine.inputs import decode, images, workers
from tlapp.engine.inputs.images import Images
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

SIZE = 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def reads(monkeypatch):
    calls, read = [], images.read_sized
    monkeypatch.setattr(images, "read_sized", lambda path, *how: calls.append(path) or read(path, *how))
    return calls


def test_a_second_load_decodes_nothing(tmp_path, reads):
    root = two_classes(tmp_path / "d")
    first = load(root)
    assert len(reads) == 20
    second = load(root, seed=3, val_share=0.3)
    assert len(reads) == 20
    both = [{file: stream.examples.take([i])[0][0] for stream in dataset.streams.values() for i, file in enumerate(stream.files)}
            for dataset in (first, second)]  # fmt: skip
    assert both[0].keys() == both[1].keys() and all((both[0][file] == both[1][file]).all() for file in both[0])
    assert [entry.what for entry in store.entries()] == ["pictures"]


@pytest.mark.parametrize("change", ["content", "size", "version", "damage"])
def test_what_changed_is_decoded_anew(tmp_path, monkeypatch, reads, change):
    root = two_classes(tmp_path / "d")
    load(root)
    if change == "content":
        Image.new("RGB", (9, 9), "red").save(root / "cats" / "4.png")
    if change == "version":
        monkeypatch.setattr(images, "VERSION", images.VERSION + 1)
    if change == "damage":
        (path,) = (tmp_path / "cache").glob("*.rows")
        path.write_bytes(b"\1" + path.read_bytes()[1:])
    dataset = streams.load(RunOptions(data=str(root)), Images(SIZE + 1 if change == "size" else SIZE))
    assert len(reads) == 20 + (1 if change == "content" else 20)
    if change == "content":
        (held,) = (stream for stream in dataset.streams.values() if str(root / "cats" / "4.png") in stream.files)
        assert held.examples.take([held.files.index(str(root / "cats" / "4.png"))])[0][0, 0, 0].tolist() == [255, 0, 0]
        for stream in dataset.streams.values():  # what was taken from the earlier entry is where it belongs
            for row, file in enumerate(stream.files):
                assert np.array_equal(stream.examples.take([row])[0][0], images.read(file, SIZE))


def test_bad_pictures_are_remembered(tmp_path, reads):
    root = spoil(two_classes(tmp_path / "d"))
    with pytest.raises(UserError):
        load(root)
    before = len(reads)
    assert sum(sizes(load(root, on_bad="skip")).values()) == 20 and len(reads) == before


@pytest.mark.parametrize("worth", [1, 10_000])
def test_a_file_that_goes_before_it_is_decoded_is_not_remembered_as_bad(tmp_path, monkeypatch, worth):
    root, digests = two_classes(tmp_path / "d"), decode.digests
    monkeypatch.setattr(decode, "_WORTH_PROCESSES", worth)
    gone = root / "cats" / "3.png"

    def then_hide(*arguments):
        found = digests(*arguments)
        gone.rename(root / "aside")
        return found

    monkeypatch.setattr(decode, "digests", then_hide)
    with pytest.raises(UserError, match=r"3\.png: cannot be opened"):
        load(root, on_bad="skip")
    monkeypatch.setattr(decode, "digests", digests)
    (root / "aside").rename(gone)
    assert sum(sizes(load(root)).values()) == 20


def test_copies_are_decoded_once(tmp_path, reads):
    root = two_classes(tmp_path / "d")
    for i in range(30):
        (root / "cats" / f"copy{i}.png").write_bytes((root / "cats" / "1.png").read_bytes())
    load(root)
    assert len(reads) == 20


def test_processes_decode_what_threads_do(tmp_path, monkeypatch):
    root = spoil(two_classes(tmp_path / "d", 30))
    if sys.platform == "linux":  # a name that is neither UTF-8 nor one line
        (root / "cats" / "1.png").rename(root / "cats" / "n\u00e4me \udcff\n.png")
    here = load(root, on_bad="skip")
    store.clear()
    monkeypatch.setattr(decode, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(decode, "decode", lambda *_: pytest.fail("decoded in this process"))
    there = load(root, on_bad="skip")
    assert here.notes == there.notes and streams.split_rows(here) == streams.split_rows(there)
    for one, other in zip(here.streams.values(), there.streams.values(), strict=True):
        np.testing.assert_array_equal(one.examples.take(np.arange(len(one)))[0], other.examples.take(np.arange(len(one)))[0])


@pytest.mark.parametrize(
    "child", ["raise SystemExit(3)", "print('x', flush=True)", "import time; print('[[], []]', flush=True)", None]
)
def test_a_decoding_process_that_fails_is_replaced(tmp_path, monkeypatch, reads, child):
    monkeypatch.setattr(decode, "_WORTH_PROCESSES", 1)
    if child is None:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    else:
        monkeypatch.setattr(workers, "CHILD", child)
    dataset = load(two_classes(tmp_path / "d"))
    assert len(reads) == 20 and sizes(dataset) == {"train": 12, "val": 4, "test": 4}


def test_an_error_while_decoding_comes_out_and_leaves_nothing(tmp_path, monkeypatch):
    def broken(path, *how):
        raise ZeroDivisionError

    monkeypatch.setattr(images, "read_sized", broken)
    with pytest.raises(ZeroDivisionError):
        load(two_classes(tmp_path / "d"))
    assert list((tmp_path / "cache").iterdir()) == []
