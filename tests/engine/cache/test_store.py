"""The cache folder: several writers, its limit, its errors and its place."""

import errno
import gc
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers.rows import rows_of, save

from tlapp.engine.cache import store
from tlapp.errors import UserError

SHAPE = (4, 3)


def test_threads_write_one_entry():
    content = rows_of(400)
    with store.write("a", 400, SHAPE, "float32") as writer:
        threads = [threading.Thread(target=writer.put, args=(i, content[i : i + 10])) for i in range(0, 400, 10)]
        for thread in threads[::-1]:
            thread.start()
        for thread in threads:
            thread.join()
        writer.commit()
    np.testing.assert_array_equal(store.find("a").take(np.arange(400)), content)


def test_two_writers_of_one_key_do_not_mix():
    one, two = rows_of(5, 1), rows_of(5, 2)
    with store.write("a", 5, SHAPE, "float32") as first, store.write("a", 5, SHAPE, "float32") as second:
        first.put(0, one[:2])
        second.put(0, two)
        rows = second.commit()
        first.put(2, one[2:])
        first.commit()
    np.testing.assert_array_equal(rows.take(np.arange(5)), two)
    np.testing.assert_array_equal(store.find("a").take(np.arange(5)), one)


WRITE = """
import numpy as np, sys
from tlapp.engine.cache import store
value = int(sys.argv[1])
for _ in range(30):
    with store.write("a", 50, (1000,), "uint8") as writer:
        for row in range(0, 50, 5):
            writer.put(row, np.full((5, 1000), value, "uint8"))
        writer.commit()
    rows = store.find("a")
    assert rows is not None and len(np.unique(rows.take(np.arange(50)))) == 1
"""


def test_processes_that_write_one_key_at_once(cache):
    children = [subprocess.Popen([sys.executable, "-c", WRITE, str(value)]) for value in (1, 2, 3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert [path.name for path in cache.iterdir()] == ["a.rows"]


def used(key, ago):
    path = store.folder() / f"{key}.rows"
    os.utime(path, (time.time() - ago,) * 2)


def test_the_least_recently_used_entry_goes_first(monkeypatch):
    content = rows_of(100, dtype="uint8")
    for key, ago in (("a", 300), ("b", 200), ("c", 100)):
        save(key, content)
        used(key, ago)
    store.find("a")
    gc.collect()
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", str(int(3.5 * content.nbytes)))
    save("d", content)
    assert [entry.key for entry in store.entries()] == ["c", "a", "d"]


def test_an_entry_in_use_stays(monkeypatch):
    content = rows_of(100, dtype="uint8")
    rows = save("a", content)
    save("b", content)
    used("a", 300)
    gc.collect()
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", str(int(2.5 * content.nbytes)))
    save("c", content)
    assert [entry.key for entry in store.entries()] == ["a", "c"]
    np.testing.assert_array_equal(rows.take([1]), content[[1]])


def test_rows_outlive_their_removal():
    content = rows_of(9)
    rows = save("a", content)
    store.clear()
    np.testing.assert_array_equal(rows.take([8, 0]), content[[8, 0]])


def test_files_are_closed_with_their_rows():
    save("a", rows_of(9))
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else pytest.skip("no /proc")
    for _ in range(20):
        store.find("a")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_entry_over_the_limit_is_refused_before_anything_is_removed(monkeypatch):
    save("a", rows_of(100, dtype="uint8"))
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", "2K")
    with pytest.raises(UserError, match=r"12\.0 MB .* limit is 2 kB.*TLAPP_CACHE_LIMIT.*option image_size"):
        store.write("b", 1_000_000, SHAPE, "uint8")
    assert [entry.key for entry in store.entries()] == ["a"]


def test_an_entry_over_the_free_space_is_refused(monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", "1000T")
    with pytest.raises(UserError, match=r"needed, and the disk has .* left.*TLAPP_CACHE.*option image_size"):
        store.write("b", 10**12, SHAPE, "uint8")


@pytest.mark.parametrize("call", ["pwrite", "replace"])
def test_a_full_disk_is_told_and_leaves_nothing(monkeypatch, cache, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError) as told, store.write("a", 100, SHAPE, "float32") as writer:
        monkeypatch.setattr(os, call, full)
        writer.put(0, rows_of(100))
        writer.commit()
    assert all(part in str(told.value) for part in (str(cache), "No space left", "5 kB", "TLAPP_CACHE"))
    assert list(cache.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match=r"cache folder .*TLAPP_CACHE"):
        store.write("a", 1, SHAPE, "uint8")
    assert store.find("a") is None
    assert (store.entries(), store.clear()) == ([], 0)


@pytest.mark.parametrize(
    "text, size", [("20G", 20 * 10**9), ("1.5k", 1500), ("7", 7), ("3 MB", 3 * 10**6), ("2TiB", 2 * 10**12), ("", 20 * 10**9)]
)
def test_limits_are_read(monkeypatch, text, size):
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", text)
    assert store.limit() == size


@pytest.mark.parametrize("text", ["much", "-1G", "5X", "1e9"])
def test_what_is_no_limit_is_refused(monkeypatch, text):
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", text)
    with pytest.raises(UserError, match=f"TLAPP_CACHE_LIMIT: expected a size .*Received: {text}"):
        store.limit()


def test_entries_and_clear(cache):
    save("a", rows_of(10), what="pictures")
    save("b", rows_of(20), what="activations")
    used("a", 50)
    found = store.entries()
    assert [(entry.key, entry.what) for entry in found] == [("a", "pictures"), ("b", "activations")]
    assert abs(time.time() - 50 - found[0].used) < 5
    assert store.clear() == sum(entry.bytes for entry in found) > 30 * 48
    assert list(cache.iterdir()) == []


def test_what_dead_writers_left_is_swept(cache):
    save("a", rows_of(1))
    for name, ago in (("old.x.tmp", 100_000), ("new.x.tmp", 5)):
        (cache / name).write_text("left over")
        os.utime(cache / name, (time.time() - ago,) * 2)
    save("b", rows_of(1))
    assert sorted(path.name for path in cache.iterdir()) == ["a.rows", "b.rows", "new.x.tmp"]


@pytest.mark.parametrize(
    "platform, variables, expected",
    [
        ("linux", {"XDG_CACHE_HOME": "base"}, ("base", "tlapp")),
        ("linux", {"HOME": "base"}, ("base", ".cache", "tlapp")),
        ("darwin", {"HOME": "base"}, ("base", "Library", "Caches", "tlapp")),
        ("win32", {"LOCALAPPDATA": "base"}, ("base", "tlapp", "Cache")),
        ("linux", {"HOME": "base", "TLAPP_CACHE": "~/here"}, ("base", "here")),
    ],
)
def test_the_folder_is_the_platforms(monkeypatch, platform, variables, expected):
    for name in ("TLAPP_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert store.folder().parts == expected


def test_keys_tell_facts_apart():
    facts = [("a", 1), ("a", "1"), ("a1",), (["a"], 1), ("a", 1.5), ()]
    assert len({store.key_of(*fact) for fact in facts}) == len(facts)
    assert store.key_of("a", 1) == store.key_of("a", 1)
