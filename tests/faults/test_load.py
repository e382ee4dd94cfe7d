"""Load, small; `pytest -m slow tests/faults/test_load.py` makes it as large as docs/reliability.md tells."""

from __future__ import annotations

import sys

import disks
import load
import pytest
from workshop import Workshop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with Workshop(tmp_path_factory.mktemp("load")) as workshop:
        yield workshop


@pytest.mark.slow
def test_a_training_leaves_nothing_behind():
    found = load.in_a_process("trainings", 4)
    assert len(found["megabytes"]) == 4 and found["graphs"][2] == found["graphs"][3] <= 1
    assert found["objects"][3] - found["objects"][2] < load.OBJECTS


@pytest.mark.slow
def test_twenty_trainings_keep_memory_flat():
    found = load.in_a_process("trainings", 20)
    assert found["rise_each_mb"] < load.RISE_MB and found["graphs"][-1] == found["graphs"][2]


@pytest.mark.slow
def test_pictures_by_the_hundred_stay_within_their_cap():
    found = load.in_a_process("pictures", 200, 224)
    assert (found["val"], found["test"]) == (30, 40) and found["peak_mb"] < load.CAP_MB


@pytest.mark.slow
def test_fifty_thousand_pictures_stay_within_the_cap():
    found = load.in_a_process("pictures", 50_000, 224)
    assert (found["val"], found["test"]) == (7_500, 10_000) and found["peak_mb"] < load.CAP_MB
    assert found["peak_mb_of_a_decoder"] < load.CAP_MB


@pytest.mark.slow
def test_a_million_pictures_are_listed_within_their_limits():
    for found in load.in_a_process("listing", 1_000_000).values():
        assert (found["train"], found["val"], found["test"]) == (650_000, 150_000, 200_000) and found["problems"] == 1000
        assert found["loaded"][0] < load.LISTING_SECONDS and found["loaded"][2] < load.LISTING_MB


@pytest.mark.slow
@pytest.mark.parametrize("runs", [3, 8])
def test_runs_at_once_that_share_a_cache_end_alike(runs, shop):
    assert disks.together(shop, 0, runs) == f"{runs} runs, each equal to the bit"
