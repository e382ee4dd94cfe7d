"""Try every fault and write the table of docs/reliability.md.

    python tests/faults/table.py            every fault as often as `tries` says (about an hour on 2 cores)
    python tests/faults/table.py killed     only these, printed and not written

A fault whose trial fails is told as such, and the exit code is 1.
"""

from __future__ import annotations

import collections
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import disks
import interruptions
from workshop import Workshop

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- table, written by tests/faults/table.py: begin -->", "<!-- table: end -->"


class Fault(NamedTuple):
    """A trial, and for which seeds it is made: by the table, and by the ordinary tests."""

    trial: Callable[[Workshop, int], str]
    tries: int
    quick: Sequence[int]


FAULTS = (
    Fault(interruptions.killed, 50, (1, 7)),
    Fault(disks.full_cache, 12, (0,)),
    Fault(disks.full_run, 12, (1,)),
    Fault(disks.full_export, 12, (0,)),
    Fault(disks.read_only, 12, (0, 1, 2, 4)),
    Fault(disks.vanishing, 12, (1,)),
    Fault(disks.damaged_cache, 12, (1,)),
    Fault(disks.cut_in_use, 12, (1,)),
    Fault(disks.together, 6, (0,)),
    Fault(interruptions.clock, 9, (5,)),
    Fault(interruptions.out_of_memory, 12, (0,)),
    Fault(interruptions.no_number, 12, (0, 1)),
    Fault(interruptions.worker, 12, (0,)),
)


def main(chosen: Sequence[str]) -> int:
    """Make the table."""
    faults = [fault for fault in FAULTS if not chosen or fault.trial.__name__ in chosen]
    began, rows, failed = time.monotonic(), [], 0
    with tempfile.TemporaryDirectory(prefix="tlapp-faults-") as folder:
        os.environ["TLAPP_CACHE"] = f"{folder}/own-cache"
        Path(folder).chmod(0o755)
        with Workshop(Path(folder)) as shop:
            for fault in faults:
                outcomes = collections.Counter(tried(fault, shop))
                failed += sum(count for outcome, count in outcomes.items() if outcome.startswith("FAILED"))
                rows.append(row(fault, outcomes))
                print(rows[-1], flush=True)
    if not chosen:
        write(rows, time.monotonic() - began)
    return 1 if failed else 0


def tried(fault: Fault, shop: Workshop) -> Iterator[str]:
    """The outcome of each trial, in words."""
    for seed in range(fault.tries):
        try:
            outcome = fault.trial(shop, seed)
        except Exception as error:
            outcome = f"FAILED (seed {seed})"
            print(fault.trial.__name__, seed, error, file=sys.stderr, flush=True)
        else:
            print(f"{fault.trial.__name__} {seed}: {outcome}", file=sys.stderr, flush=True)
        yield re.sub(r" \(killed .*\)$", "", outcome)


def row(fault: Fault, outcomes: collections.Counter[str]) -> str:
    """A line of the table."""
    what = (fault.trial.__doc__ or "").partition("\n")[0]
    told = "; ".join(f"{count}: {outcome}" for outcome, count in sorted(outcomes.items(), key=lambda each: (-each[1], each[0])))
    return f"| `{fault.trial.__name__}` {what} | {sum(outcomes.values())} | {told} |"


def write(rows: Sequence[str], seconds: float) -> None:
    """Put the table into the document."""
    head = ["| fault | tried | outcome |", "| --- | --- | --- |"]
    foot = f"Tried by `python tests/faults/table.py` in {seconds / 60:.0f} minutes on {os.cpu_count()} cores."
    text, table = DOCUMENT.read_text(encoding="utf-8"), "\n".join([*head, *rows, "", foot])
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
