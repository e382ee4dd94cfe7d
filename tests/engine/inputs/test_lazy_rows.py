"""Rows that are decoded when they are asked for are those that would be kept; what is known of them is known before."""

import numpy as np
import pytest
from helpers.image_sets import SIZE, pictures, spoil, two_classes
from PIL import Image

from tlapp.engine.cache import store
from tlapp.engine.data import streams
from tlapp.engine.inputs import decode, images, lazy_rows
from tlapp.engine.inputs.images import Images
from tlapp.engine.inputs.lazy_rows import LazyRows
from tlapp.engine.inputs.rows import Use, keep
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

QUIET = lambda task, done, of: None  # noqa: E731


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    return spoil(two_classes(tmp_path / "d", 30))


def load(root, use):
    return streams.load(RunOptions(data=str(root), on_bad="skip"), Images(SIZE), use=use)


def lazily(root, passing=None):
    """The dataset, and its table."""
    dataset = load(root, Use(False, passing))
    (table,) = dataset.streams["train"].examples.tables
    assert isinstance(table, LazyRows)
    return dataset, table


@pytest.mark.parametrize(("worth", "spool"), [(10_000, 1 << 30), (10_000, 0), (1, 0)])
def test_they_are_the_rows_that_would_be_kept(root, monkeypatch, worth, spool):
    monkeypatch.setattr(lazy_rows, "SPOOL", spool)
    lazy, table = lazily(root)
    whole = load(root, Use(True))
    monkeypatch.setattr(decode, "_WORTH_PROCESSES", worth)
    (kept,) = whole.streams["train"].examples.tables
    assert (
        streams.split_rows(lazy) == streams.split_rows(whole) and lazy.inventory == whole.inventory and lazy.notes == whole.notes
    )
    assert table.key == kept.key and len(table) == len(kept) and table.extra["bad"] == kept.extra["bad"] != {}
    rows = np.random.default_rng(0).integers(0, len(kept), 100)
    assert np.array_equal(table.take(rows), kept.take(rows)) and np.array_equal(table.take(range(60)), kept.take(range(60)))
    assert table.take([]).shape == (0, SIZE, SIZE, 3)
    with pytest.raises(IndexError):
        table.take([len(table)])


def test_who_sees_them_sees_each_once_in_whole_blocks(root, monkeypatch):
    monkeypatch.setattr(lazy_rows, "BLOCK", 16)
    monkeypatch.setattr(lazy_rows, "SPOOL", 20 * SIZE * SIZE * 3)  # a block, and some room that is left
    seen, ends = [], []

    class Seeing:
        def add(self, rows, arrays):
            seen.append((rows, arrays[0]))

        def finish(self):
            ends.append("finish")

        def close(self):
            ends.append("close")

    _, table = lazily(root, lambda table: Seeing())
    sizes = [len(rows) for rows, _ in seen]
    assert set(sizes[:-1]) == {16} and np.array_equal(np.concatenate([rows for rows, _ in seen]), np.arange(len(table)))
    assert np.array_equal(np.concatenate([array for _, array in seen]), table.take(range(len(table))))
    assert ends == ["finish", "close"] and {entry.what for entry in store.entries()} == {"digests"}


def test_a_set_that_grew_keeps_what_was_kept_and_decodes_what_is_new(root, monkeypatch, tmp_path):
    _, table = lazily(root)
    assert keep(table, QUIET)
    pictures(tmp_path / "d" / "cats", 31)
    reads, read = [], images.read_sized
    monkeypatch.setattr(images, "read_sized", lambda path, *how: reads.append(path) or read(path, *how))
    _, grown = lazily(root)
    assert keep(grown, QUIET) and {path for path in reads if "bad" not in path} == {str(root / "cats" / "31.png")}
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "other"))
    assert np.array_equal(grown.take(range(60)), lazily(root)[1].take(range(60)))


@pytest.mark.parametrize("change", ["another", "gone", "damaged"])
def test_a_file_that_changes_during_a_run_is_named(root, monkeypatch, change):
    monkeypatch.setattr(lazy_rows, "SPOOL", 0)
    dataset, _ = lazily(root)
    stream = dataset.streams["train"]
    path = root.parent / stream.files[3]
    if change == "gone":
        path.unlink()
    elif change == "damaged":
        path.write_bytes(path.read_bytes()[:60])
    else:
        Image.new("RGB", (9, 9), "red").save(path)
    said = "cannot be opened" if change == "gone" else "has changed since this run first read it; start again or resume"
    with pytest.raises(UserError, match=f"{path.name}: {said}"):
        stream.examples.take(range(len(stream)))


def test_a_disk_without_room_for_the_file_costs_time_alone(root, monkeypatch):
    monkeypatch.setattr("tlapp.engine.cache.spool.write_all", full)
    _, table = lazily(root)
    assert table.take(range(60)).any()


def full(*_):
    raise OSError(28, "No space left on device")
