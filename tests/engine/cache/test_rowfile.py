"""Rows that were written come back, or nothing does."""

import os
import zlib

import numpy as np
import pytest
from helpers.rows import rows_of, save

from tlapp.engine.cache import positioned, rowfile, store
from tlapp.engine.cache.columns import Digests

SHAPE = (4, 3)


def test_rows_come_back_in_any_order_with_repeats():
    content = rows_of(3000)
    save("a", content, what="pictures", names=["x"])
    rows = store.find("a")
    assert (len(rows), rows.shape, rows.dtype, rows.extra["names"]) == (3000, SHAPE, np.float32, ["x"])
    wanted = np.random.default_rng(1).integers(0, 3000, 5000)
    for indices in (wanted, np.arange(3000), [2999, 0, 0, 5, 4, 2999], []):
        np.testing.assert_array_equal(rows.take(indices), content[np.asarray(indices, int)])
    np.testing.assert_array_equal(rows.slice(10, 4000), content[10:])
    assert rows.slice(5, 5).shape == (0, *SHAPE)


@pytest.mark.parametrize("indices", [[3], [-1], [0, 99]])
def test_rows_out_of_range_are_refused(indices):
    rows = save("a", rows_of(3))
    with pytest.raises(IndexError):
        rows.take(indices)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "int64"])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_any_dtype_and_count(dtype, count):
    content = rows_of(count, dtype=dtype)
    save("a", content)
    np.testing.assert_array_equal(store.find("a").take(np.arange(count)), content)


def test_neighbouring_rows_are_read_in_one_call(monkeypatch):
    rows, calls = save("a", rows_of(400)), []
    read = positioned._read_once
    monkeypatch.setattr(positioned, "_read_once", lambda *a: calls.append(1) or read(*a))
    rows.take(np.random.default_rng(0).permutation(400))
    assert len(calls) == 1


@pytest.mark.parametrize("missing", [("preadv",), ("preadv", "pread", "pwrite")])
def test_without_calls_that_read_at_an_offset(monkeypatch, missing):
    for name in missing:
        monkeypatch.delattr(os, name, raising=False)
    content = rows_of(50)
    save("a", content)
    np.testing.assert_array_equal(store.find("a").take([7, 3, 3]), content[[7, 3, 3]])


def test_short_reads_are_continued(monkeypatch):
    content = rows_of(20)
    rows, read = save("a", content), os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at: read(fd, [buffers[0][:5]], at))
    np.testing.assert_array_equal(rows.take([3, 1, 2]), content[[3, 1, 2]])


def test_nothing_is_seen_before_the_commit_and_nothing_left_after_an_error(cache):
    with pytest.raises(ZeroDivisionError), store.write("a", 2, SHAPE, "uint8") as writer:
        writer.put(0, rows_of(2, dtype="uint8"))
        assert store.find("a") is None
        assert len(list(cache.iterdir())) == 1
        raise ZeroDivisionError
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("puts", [[], [0], [0, 0], [0, 4], [1, 3]])
def test_missing_or_doubled_rows_are_not_committed(puts):
    with pytest.raises(ValueError, match="missing"), store.write("a", 6, SHAPE, "uint8") as writer:
        for start in puts:
            writer.put(start, rows_of(2, dtype="uint8"))
        writer.commit()
    assert store.find("a") is None


@pytest.mark.parametrize("start, shape", [(5, (2, *SHAPE)), (-1, (2, *SHAPE)), (0, (2, 3, 4))])
def test_rows_that_do_not_fit_are_refused(start, shape):
    with store.write("a", 6, SHAPE, "uint8") as writer, pytest.raises(ValueError, match="do not fit"):
        writer.put(start, np.zeros(shape, "uint8"))


def damage(path, how):
    content = bytearray(path.read_bytes())
    places = {"first row": 0, "last row": 6 * 12 - 1, "header": 6 * 12 + 9, "seal": len(content) - 1}
    if how in places:
        content[places[how]] ^= 1
    path.write_bytes(
        {"cut": content[:-1], "half": content[: len(content) // 2], "empty": b"", "longer": content + b"x"}.get(how, content)
    )


@pytest.mark.parametrize("how", ["first row", "last row", "header", "seal", "cut", "half", "empty", "longer"])
def test_a_damaged_entry_is_removed(cache, how):
    save("a", rows_of(6, dtype="uint8"))
    damage(cache / "a.rows", how)
    assert store.find("a") is None
    assert list(cache.iterdir()) == []


def test_an_entry_is_checked_once_a_process(cache, monkeypatch):
    save("a", rows_of(6))
    checks, check = [], rowfile._intact
    monkeypatch.setattr(rowfile, "_intact", lambda *a: checks.append(1) or check(*a))
    for _ in range(3):
        assert store.find("a") is not None
    assert len(checks) == 1
    save("a", rows_of(6, 1))
    assert store.find("a") is not None and len(checks) == 2


def test_damage_is_found_in_any_block(cache):
    with store.write("a", 64, SHAPE, "uint8") as writer:
        for start in range(0, 64, 4):
            writer.put(start, rows_of(4, start, "uint8"))
        writer.commit()
    for at in range(0, 64 * 12, 60):
        whole = (cache / "a.rows").read_bytes()
        broken = bytearray(whole)
        broken[at] ^= 128
        (cache / "a.rows").write_bytes(broken)
        assert store.find("a") is None, at
        (cache / "a.rows").write_bytes(whole)
    assert store.find("a") is not None


@pytest.mark.parametrize("header", ['{"rows": 6}', "[6]", '{"column": "Names", "base64": ""}', "6"])
def test_an_entry_whose_header_says_what_is_not_known_is_computed_anew(cache, header, monkeypatch):
    """As one that another version of tlapp sealed may."""
    save("a", rows_of(6, dtype="uint8"))
    whole = (cache / "a.rows").read_bytes()
    length, _, magic = rowfile._TAIL.unpack(whole[-rowfile._TAIL.size :])
    text = header.encode()
    seal = rowfile._TAIL.pack(len(text), zlib.crc32(text), magic)
    (cache / "a.rows").write_bytes(whole[: -rowfile._TAIL.size - length] + text + seal)
    assert store.find("a") is None and list(cache.iterdir()) == []


def test_an_entry_of_before_there_were_columns_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rowfile, "_MAGIC", b"tlapp-1\n")
    names = ["0a" * 16, ""]
    with rowfile.Writer(tmp_path / "a.rows", 2, (3,), np.uint8) as writer:
        writer.put(0, np.arange(6, dtype=np.uint8).reshape(2, 3))
        writer.commit({"names": names})
    monkeypatch.undo()
    found = rowfile.open_rows(tmp_path / "a.rows")
    assert found.extra["names"] == names and [*Digests.of(found.extra["names"])] == names
    assert found.take([1]).tolist() == [[3, 4, 5]]
