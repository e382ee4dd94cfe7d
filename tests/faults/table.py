"""Try every fault and write the table of docs/reliability.md.

    python tests/faults/table.py            every fault as often as `tries` says (half an hour on 2 cores)
    python tests/faults/table.py 20         as many trials as begin within 20 minutes, spread over the faults alike
    python tests/faults/table.py 5 killed   only these: their rows replace those that are there

Only trials in which the fault struck are counted: where a run was over first, it is tried again with an earlier moment, or with
less room. A fault whose trial fails, or never strikes, is told as such, and the exit code is 1.
"""

from __future__ import annotations

import collections
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import disks
import fuzz
import interruptions
from checks import NotStruck
from workshop import Workshop

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- table, written by tests/faults/table.py: begin -->", "<!-- table: end -->"


class Fault(NamedTuple):
    """A trial, and for which seeds it is made: by the table, and by the ordinary tests (those of mutants are in test_fuzz.py)."""

    trial: Callable[[Workshop, int], str]
    tries: int
    quick: Sequence[int]


FAULTS = (
    Fault(interruptions.killed, 50, (7,)),
    Fault(interruptions.killed_adapting, 15, ()),
    Fault(disks.full_cache, 12, ()),
    Fault(disks.full_run, 12, (1,)),
    Fault(disks.full_export, 12, (0,)),
    Fault(disks.read_only, 12, (0,)),
    Fault(disks.vanishing, 12, (1,)),
    Fault(disks.damaged_cache, 12, ()),
    Fault(disks.cut_in_use, 12, (1,)),
    Fault(disks.together, 6, (0,)),
    Fault(interruptions.clock, 9, (5,)),
    Fault(interruptions.out_of_memory, 12, (0,)),
    Fault(interruptions.no_number, 12, (0,)),
    Fault(interruptions.worker, 12, (0,)),
    Fault(fuzz.mutants, 10, ()),
)


def main(words: Sequence[str]) -> int:
    """Make the table."""
    chosen = [word for word in words if not word.isdigit()]
    faults = [fault for fault in FAULTS if not chosen or fault.trial.__name__ in chosen]
    seconds = min((60.0 * int(word) for word in words if word.isdigit()), default=float("inf"))
    began, outcomes = time.monotonic(), {fault.trial.__name__: collections.Counter[str]() for fault in faults}
    with tempfile.TemporaryDirectory(prefix="tlapp-faults-") as folder:
        os.environ["TLAPP_CACHE"] = f"{folder}/own-cache"
        Path(folder).chmod(0o755)
        with Workshop(Path(folder)) as shop:
            for fault, seed in in_turns(faults):
                if time.monotonic() - began < seconds:
                    outcomes[fault.trial.__name__][tried(fault, seed, shop)] += 1
    rows = [row(fault, outcomes[fault.trial.__name__]) for fault in faults]
    print("\n".join(rows))
    write(rows, time.monotonic() - began, " ".join(["python tests/faults/table.py", *words]))
    return 1 if any("FAILED" in line for line in rows) else 0


def in_turns(faults: Sequence[Fault]) -> list[tuple[Fault, int]]:
    """Every trial of every fault, in such an order that whatever part of it is made holds the same share of each fault."""
    return sorted(
        ((fault, seed) for fault in faults for seed in range(fault.tries)), key=lambda each: (each[1] + 1) / each[0].tries
    )


EARLIER = (1.0, 0.5, 0.25, 0.12, 0.05)
"""Shares of the time or the room that a trial has, one after the other until its fault strikes."""


def strike(fault: Fault, seed: int, shop: Workshop) -> str:
    """The outcome of a trial in which the fault struck, in words.

    Raises:
        AssertionError: something does not hold, or the fault never struck.
    """
    reasons = []
    for shop.earlier in EARLIER:
        try:
            return fault.trial(shop, seed)
        except NotStruck as error:
            reasons.append(str(error))
    raise AssertionError(f"{fault.trial.__name__}, seed {seed}: in none of {len(EARLIER)} trials did it strike: {reasons[-1]}")


def tried(fault: Fault, seed: int, shop: Workshop) -> str:
    """The outcome of a trial, in words."""
    try:
        outcome = strike(fault, seed, shop)
    except Exception as error:
        print(fault.trial.__name__, seed, error, file=sys.stderr, flush=True)
        return f"FAILED (seed {seed})"
    print(f"{fault.trial.__name__} {seed}: {outcome}", file=sys.stderr, flush=True)
    return outcome


def row(fault: Fault, outcomes: collections.Counter[str]) -> str:
    """A line of the table."""
    what = (fault.trial.__doc__ or "").partition("\n")[0]
    ends, places = collections.Counter[str](), collections.Counter[str]()
    for outcome, count in outcomes.items():
        end, _, where = outcome.removesuffix(")").partition(" (killed ")
        ends[end] += count
        places.update({place: count * where.split(", ").count(place) for place in set(where.split(", ")) if place})
    told = "; ".join(f"{count}: {end}" for end, count in most_first(ends))
    killed = "; killed " + ", ".join(f"{count} times {place}" for place, count in most_first(places)) if places else ""
    return f"| `{fault.trial.__name__}` {what} | {sum(outcomes.values())} | {told}{killed} |"


def most_first(counts: collections.Counter[str]) -> list[tuple[str, int]]:
    """What was counted, the most frequent first, equals by name."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def write(rows: Sequence[str], seconds: float, command: str) -> None:
    """Put rows into the document's table, in the place of older ones, each with the command that made it under the table."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    old = text.partition(BEGIN)[2].partition(END)[0].splitlines()
    known = {name(line): line for line in [*(line for line in old if line.startswith("| `")), *rows]}
    order = [fault.trial.__name__ for fault in FAULTS]
    table = ["| fault | tried | outcome |", "| --- | --- | --- |", *(known[each] for each in order if each in known)]
    told = f"`{', '.join(map(name, rows))}`: by `{command}` in {seconds / 60:.0f} minutes on {os.cpu_count()} cores."
    foot = [line for line in old if line.startswith("- `") and not set(name(line).split(", ")) <= set(map(name, rows))]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{chr(10).join([*table, '', *foot, f'- {told}'])}\n\n{END}{after}", encoding="utf-8")


def name(line: str) -> str:
    """What stands first between backquotes."""
    return line.split("`")[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
