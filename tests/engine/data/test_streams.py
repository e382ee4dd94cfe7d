"""Loading in the background: progress, errors, a program that ends meanwhile, and memory."""

import subprocess
import sys
import time
import tracemalloc

import load as loads
import pytest
from helpers.image_sets import load, sizes, spoil, two_classes

from tlapp.engine.cache import rowfile, store
from tlapp.engine.data import measuring, streams
from tlapp.engine.inputs import decode
from tlapp.engine.inputs.images import Images
from tlapp.engine.inputs.rows import Use
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

SIZE = 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


def test_progress_is_told_up_to_the_end(tmp_path):
    told = []
    load(two_classes(tmp_path / "d", 25), report=lambda *event: told.append(event))
    for what in ("checking files", "reading pictures"):
        done = [event[1] for event in told if event[0] == what]
        assert done == sorted(done) and done[-1] == 50 and len(done) > 1
    assert {event[2] for event in told} == {50}


def start(where):
    options = RunOptions(data=str(where))
    return streams.start(streams.list_sources(options, Images(SIZE)), options)


def test_start_tells_layout_errors_at_once_and_others_with_the_result(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        start(tmp_path / "nowhere")
    root = two_classes(tmp_path / "d")
    assert sizes(start(root).result()) == sizes(load(root))
    loading = start(spoil(root))
    for _ in range(2):
        with pytest.raises(UserError, match="cannot be read"):
            loading.result()


LEAVE = """
import sys, time
import numpy as np
from tlapp.engine.data import measuring, streams
from tlapp.engine.inputs import images
from tlapp.engine.options import RunOptions
images.read_sized = lambda path, size, resize: time.sleep(0.05) or (np.zeros((size, size, 3), np.uint8), (size, size))
streams.start(streams.list_sources(RunOptions(data=sys.argv[1]), images.Images(32)), RunOptions(data=sys.argv[1]))
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("seconds, left", [(0.3, 0), (30, 1)])
def test_a_program_that_ends_while_loading_stops_the_load(tmp_path, seconds, left):
    root = two_classes(tmp_path / "d", 90)
    child = subprocess.Popen(
        [sys.executable, "-c", LEAVE, str(root), str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 30
    while left and not store.entries() and time.monotonic() < deadline:
        time.sleep(0.1)
    if left:  # the load does go on while the program does
        child.kill()
    assert child.communicate(timeout=60)[0] == b"" and (left or child.returncode == 0)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".rows"] * left


def test_memory_stays_flat(tmp_path):
    """Peak memory of a load grows by far less than its pixels take."""
    code = (
        "import sys, resource; from tlapp.engine.data import streams; from tlapp.engine.inputs import images\n"
        "from tlapp.engine.options import RunOptions\n"
        "d = streams.load(RunOptions(data=sys.argv[1]), images.Images(int(sys.argv[2])))\n"
        "s = d.streams['train']; [s.examples.take(range(i, i + 8))[0].sum() for i in range(0, len(s) - 8, 8)]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    root = two_classes(tmp_path / "d", 60)
    small, large = (
        int(subprocess.run([sys.executable, "-c", code, str(root), side], capture_output=True, text=True, check=True).stdout)
        for side in ("32", "640")
    )
    assert (large - small) * 1024 < 0.6 * 120 * 640 * 640 * 3


PEAK, HELD = 450, 350
"""Bytes a picture, of which a path takes about 120: beside 50 MB of imports and what lies idle, a million fit into 600 MB."""


def test_a_picture_takes_few_bytes(tmp_path, monkeypatch):
    """Of 3,000 pictures whose facts the cache knows, beyond what 1,000 take."""
    monkeypatch.setattr(decode, "_WORTH_PROCESSES", 10_000)
    monkeypatch.setattr(rowfile, "_STEP", 1 << 16)  # of the threads that check the cache
    found = []
    for count in (1000, 3000):
        loads.scatter(tmp_path / str(count), count)
        options = RunOptions(data=str(tmp_path / str(count)))
        streams.load(options, Images(8), use=Use(keep=False))
        tracemalloc.start()
        listing = streams.list_sources(options, Images(8))
        streams.expected_counts(listing, options)
        dataset = streams.start(listing, options, use=Use(keep=False)).result()
        peak = tracemalloc.get_traced_memory()[1]
        del listing
        found.append((peak, tracemalloc.get_traced_memory()[0]))
        tracemalloc.stop()
        assert sum(map(len, dataset.streams.values())) == count
    peak, held = ((more - few) / 2000 for few, more in zip(*found, strict=True))
    assert peak < PEAK and held < HELD


def test_a_finished_run_is_judged_on_known_classes(tmp_path):
    root = two_classes(tmp_path / "d", 3)
    stream, notes = measuring.load_labelled("data", str(root), ("birds", "cats", "dogs"), Images(SIZE))
    assert stream.labels.tolist() == [1, 1, 1, 2, 2, 2] and notes == () and stream.name == "data"
    with pytest.raises(UserError, match=r"option data=.*: cats"):
        measuring.load_labelled("data", str(root), ("dogs",), Images(SIZE))
    _, notes = measuring.load_labelled("data", str(spoil(root)), ("cats", "dogs"), Images(SIZE), on_bad="skip")
    assert "left out: 7" in notes[0]
