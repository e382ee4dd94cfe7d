"""`tlapp cache`: what is there, of which data, and what is removed."""

from __future__ import annotations

import json
import os
import time

import pytest
from helpers.command import tlapp
from helpers.rows import rows_of, save

from tlapp.cli.main import run
from tlapp.engine.cache import store

PICTURES, ACTIVATIONS, OLD = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """A cache of three entries, the last of an older version and used 40 days ago; and the folder that the others are of."""
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    pets = str(tmp_path / "pets")
    save(PICTURES, rows_of(10, dtype="uint8"), what="pictures", data=f"{pets}, builtin:digits")
    save(ACTIVATIONS, rows_of(10), what="activations", data=str(tmp_path / "pets.csv"), backbone="keras:ResNet50")
    save(OLD, rows_of(10), what="activations")
    os.utime(tmp_path / "cache" / f"{OLD}.rows", (time.time() - 40 * 86_400,) * 2)
    return pets


def keys():
    return sorted(entry.key for entry in store.entries())


def test_the_list_names_data_backbone_and_size(filled, capfd):
    assert run(["cache", "list"]) == 0
    said = capfd.readouterr().out
    assert "aaaaaaaa  pictures" in said and f"10 of 4 x 3, from {filled}, builtin:digits" in said
    assert f"of keras:ResNet50, 10 of 4 x 3, from {filled}.csv" in said
    assert said.splitlines()[-1].startswith("3 entries, ")


def test_the_list_as_json(filled):
    done = tlapp("cache", "list", "--json")
    found = json.loads(done.stdout)
    by_key = {entry["key"]: entry for entry in found["entries"]}
    assert by_key[ACTIVATIONS]["backbone"] == "keras:ResNet50" and by_key[ACTIVATIONS]["data"] == f"{filled}.csv"
    assert by_key[PICTURES]["shape"] == [4, 3] and by_key[OLD]["data"] == ""
    assert found["bytes"] == sum(entry["bytes"] for entry in found["entries"]) and found["limit"] > 0


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["--yes"], []),
        (["--older", "30d"], [PICTURES, ACTIVATIONS]),
        (["--older", "8w"], [PICTURES, ACTIVATIONS, OLD]),
        (["pets"], [ACTIVATIONS, OLD]),
        (["pets.csv", "aaaaaaaa"], [OLD]),
        (["builtin:digits"], [ACTIVATIONS, OLD]),
        (["pets", "--older", "1d"], [PICTURES, ACTIVATIONS, OLD]),
    ],
)
def test_what_is_named_is_removed(words, left, filled, capfd):
    assert run(["cache", "clear", *words]) == 0
    assert keys() == left
    assert "removed" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "tlapp cache clear: would remove 3 entries, 2 kB; say --yes, as there is no terminal to ask on"),
        (["cats"], "cats: no entry has this key or was made from these data; see tlapp cache list"),
        (["aaa"], "aaa: no entry has this key"),
        (["--older", "soon"], "--older soon: expected a number of hours, days or weeks, such as 12h, 30d or 2w"),
    ],
)
def test_nothing_is_removed_where_it_is_not_clear(words, sentence, filled):
    done = tlapp("cache", "clear", *words)
    assert done.returncode == 2 and sentence in done.stderr
    assert len(keys()) == 3


@pytest.mark.parametrize(("answer", "count"), [("n\n", 3), ("y\n", 0)])
def test_at_a_terminal_it_asks(answer, count, filled):
    pty = pytest.importorskip("pty")
    import subprocess
    import sys

    parent, child = pty.openpty()
    os.write(parent, answer.encode())
    done = subprocess.run([sys.executable, "-m", "tlapp", "cache", "clear"], stdin=child, capture_output=True, check=False)
    os.close(parent), os.close(child)
    assert done.returncode == 0 and b"Remove 3 entries, " in done.stderr
    assert len(keys()) == count


def test_a_process_that_has_an_entry_open_goes_on(filled):
    rows = store.find(PICTURES)
    assert run(["cache", "clear", "--yes"]) == 0
    assert rows is not None and len(rows.take(range(10))) == 10


def test_a_run_writes_what_the_list_names(tmp_path, monkeypatch, tensorflow):
    from tlapp_plugins.freeze import Freeze

    from tlapp.testing import pictures, tiny_run

    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    data = pictures(tmp_path / "shapes", each=6)
    tiny_run(Freeze(epochs=1), data, tmp_path / "run")
    by_what = {entry.what: entry for entry in store.entries()}
    assert by_what["digests"].data == by_what["activations"].data == str(data)
    assert by_what["activations"].backbone == "keras-cv:efficientnet-lite0"  # as the options say
