"""A few trials of every fault; `python tests/faults/table.py` makes them all, and so does `pytest -m slow`."""

from __future__ import annotations

import sys

import pytest
from table import FAULTS
from workshop import Workshop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the harness reads /proc")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with Workshop(tmp_path_factory.mktemp("faults")) as workshop:
        yield workshop


QUICK = [pytest.param(fault, seed, id=f"{fault.trial.__name__} {seed}") for fault in FAULTS for seed in fault.quick]


@pytest.mark.parametrize(("fault", "seed"), QUICK)
def test_fault(fault, seed, shop):
    assert fault.trial(shop, seed)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.trial.__name__)
def test_fault_at_length(fault, shop):
    outcomes = [fault.trial(shop, seed) for seed in range(fault.tries)]
    assert len(outcomes) == fault.tries
