"""A few trials of every fault; `python tests/faults/table.py` makes them all, and so does `pytest -m slow`."""

from __future__ import annotations

import re
import sys

import pytest
import table
from checks import NotStruck
from table import BEGIN, DOCUMENT, EARLIER, END, FAULTS, Fault, in_turns, strike
from workshop import Workshop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the harness reads /proc")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with Workshop(tmp_path_factory.mktemp("faults")) as workshop:
        yield workshop


QUICK = [pytest.param(fault, seed, id=f"{fault.trial.__name__} {seed}") for fault in FAULTS for seed in fault.quick]


@pytest.mark.parametrize(("fault", "seed"), QUICK)
def test_fault(fault, seed, shop):
    assert strike(fault, seed, shop)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.trial.__name__)
def test_fault_at_length(fault, shop):
    outcomes = [strike(fault, seed, shop) for seed in range(fault.tries)]
    assert len(outcomes) == fault.tries


class NoShop:
    earlier = 1.0


def test_a_trial_counts_only_if_its_fault_struck():
    moments = []

    def late(shop, seed):
        moments.append(shop.earlier)
        if len(moments) < 3:
            raise NotStruck("it was over")
        return "told"

    assert strike(Fault(late, 1, ()), 0, NoShop()) == "told" and moments == list(EARLIER[:3])


def test_a_fault_that_never_strikes_fails():
    def never(shop, seed):
        raise NotStruck("it was over")

    with pytest.raises(AssertionError, match="in none of 5 trials did it strike: it was over"):
        strike(Fault(never, 1, ()), 0, NoShop())


def test_the_document_names_every_fault_with_its_trials_and_outcomes():
    text = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert [name.split("`")[1] for name, *_ in rows] == [fault.trial.__name__ for fault in FAULTS]
    for _, tried, outcomes in rows:
        counts = [int(part.partition(":")[0]) for part in re.split(r"; (?=\d+: )", outcomes)]
        assert sum(counts) == int(tried) > 0 and "FAILED" not in outcomes


def test_any_part_of_the_table_holds_a_like_share_of_each_fault():
    order = in_turns(FAULTS)
    assert len(order) == sum(fault.tries for fault in FAULTS)
    half = [fault for fault, _ in order[: len(order) // 2]]
    assert all(abs(half.count(fault) - fault.tries / 2) <= 1 for fault in FAULTS)


def test_rows_that_are_made_anew_replace_the_old_ones_and_keep_their_commands(tmp_path, monkeypatch):
    document = tmp_path / "a.md"
    document.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    monkeypatch.setattr(table, "DOCUMENT", document)
    for number, names in enumerate((["killed", "clock"], ["together"], ["clock"])):
        table.write([f"| `{name}` it | {number} | {number}: told |" for name in names], 60, f"command {number}")
    lines = document.read_text().splitlines()
    assert [line.split("|")[2].strip() for line in lines if line.startswith("| `")] == ["0", "1", "2"]  # in the harness's order
    assert [line.partition("by ")[2][:11] for line in lines if line.startswith("- `")] == [
        "`command 0`",
        "`command 1`",
        "`command 2`",
    ]
    assert lines[0] == "before" and lines[-1] == "after"
