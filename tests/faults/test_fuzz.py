"""Broken pictures, a few hundred; `python tests/faults/fuzz.py 5000 0` and `pytest -m slow` read thousands."""

from __future__ import annotations

import os
import signal
import sys
import tracemalloc
from functools import partial

import fuzz
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlapp.engine.inputs import decode, images, packed, workers
from tlapp.engine.inputs.square import eight_bits
from tlapp.testing import pictures

FILES = fuzz.corpus()
MAGICS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"BM", b"II*\0", b"MM\0*", b"")


def test_the_corpus_itself_decodes(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
        assert fuzz.read(tmp_path / name) == "decoded"


def test_mutants():
    found = fuzz.in_a_process(600, 1)
    assert found["decoded"] + found["named as bad"] == 600
    assert min(found["decoded"], found["named as bad"]) > 50  # the mutants are neither all whole nor all hopeless
    assert found["slowest"] < fuzz.SECONDS and found["peak_mb"] < fuzz.MEGABYTES


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_mutants_by_the_thousand(seed):
    found = fuzz.in_a_process(600, 100 + seed)
    assert found["decoded"] + found["named as bad"] == 600


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_a_large_picture_of_many_bits_takes_little_more_than_itself(kind):
    """With the largest picture allowed, reading one stays below the 2 GiB that the fuzzer allows."""
    values = np.random.default_rng(0).integers(0, 65_535, (3000, 3000)).astype(kind)
    tracemalloc.start()
    found = eight_bits(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6 and np.array_equal(found, np.rint(values / 257))
    if kind is not np.uint16:  # stretched, by what all of it holds
        values[0, 0], values[-1, -1] = -100, 99_900
        assert np.array_equal(eight_bits(values), np.rint((values + 100.0) * (255 / 100_000)))


@given(name=st.sampled_from(sorted(FILES)), edits=st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=8)), max_size=4))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_edits(name, edits, tmp_path):
    content = bytearray(FILES[name])
    for at, piece in edits:
        content[at % len(content) : at % len(content) + len(piece)] = piece
    (tmp_path / name).write_bytes(content)
    assert fuzz.read(tmp_path / name) in ("decoded", "named as bad")


@given(magic=st.sampled_from(MAGICS), content=st.binary(max_size=200))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(magic, content, tmp_path):
    (tmp_path / "a.png").write_bytes(magic + content)
    assert fuzz.read(tmp_path / "a.png") in ("decoded", "named as bad")


# Pictures that end or hold up the process that decodes them ---------------------------------------------------------------------

DEADLY = """
import json, sys, os, time
sys.path[:] = json.loads(sys.argv[1])
from tlapp.engine.inputs import decode
from tlapp.engine.inputs import images
read = images.read_sized
def deadly(path, *how):
    if "002" in path:
        {}
    return read(path, *how)
images.read_sized = deadly
decode.serve(sys.argv[2])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="ends processes by signals")
@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (f"os.kill(os.getpid(), {int(signal.SIGSEGV)})", "decoding it crashes"),
        ("time.sleep(60)", "takes more than 3 seconds"),
        ("raise ZeroDivisionError", None),
        (f"os.kill(os.getpid(), {int(signal.SIGKILL)})", None),
        (f"os.kill(os.getpid(), {int(signal.SIGTERM)})", None),
    ],
    ids=["crashes", "hangs", "fails", "is killed", "is told to end"],
)
def test_a_picture_that_ends_its_decoder(act, reason, tmp_path, monkeypatch):
    """It alone is bad; what somebody else did to the process is not held against it."""
    monkeypatch.setattr(workers, "CHILD", DEADLY.format(act))
    files = sorted(str(path) for path in pictures(tmp_path, 4, ["circle"]).rglob("*.png"))
    examples = images.Images(32)
    expected, here = decode.decode(examples, files), partial(decode.decode, examples)
    process = workers.ProcessDecoder(examples, packed(examples), here)
    monkeypatch.setattr(workers, "SECONDS", 3.0 if "sleep" in act else 60.0)  # to start takes about one
    try:
        found = process.decode(files)
    finally:
        process.close()
    if reason is None:
        assert found.bad == {} and np.array_equal(found.arrays[0], expected.arrays[0]) and found.digests == expected.digests
    else:
        assert list(found.bad) == [2] and reason in found.bad[2]
        good = [0, 1, 3]
        assert np.array_equal(found.arrays[0][good], expected.arrays[0][good])
        assert os.path.basename(files[2]) == "002.png"
