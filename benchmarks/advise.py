"""How well does `tlapp advise` foretell what four times the pictures give? On a quarter of each set, drawn by seeds, as a table.

    python benchmarks/advise.py DATA... [--seeds 3] [--set key=value ...]

DATA as --data of tlapp train. The truth is the cross-validated accuracy of the same classifier on all pictures.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from domains import pairs

from tlapp.api import job_of
from tlapp.engine.advice import advise
from tlapp.engine.report import Silent
from tlapp.engine.run import Run
from tlapp.settings import resolve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    gaps, held = [], []
    print("| data | pictures | now, on a quarter | told for four times as many | measured | off, points |\n" + "| --- " * 6 + "|")
    for data in given.data:
        found = features(data, pairs(given.set))
        known, classes = [*found.stages.values()][-1], len(found.outline.classes)
        truth = advise.judged(known, found.labels, classes, found.groups).accuracy
        for seed in range(given.seeds):
            rows = np.random.default_rng(seed).permutation(len(found.labels))[: len(found.labels) // 4]
            told = advise.curve(known[rows], found.labels[rows], classes)
            if "4" not in told:
                continue
            low, high = told["4"]["interval"]
            gaps.append(100 * (told["4"]["accuracy"] - truth))
            held.append(low <= truth <= high)
            print(
                f"| {Path(data).name} | {len(rows)} | {told['points'][-1][1]:.3f} | {told['4']['accuracy']:.3f} ({low:.3f} to "
                f"{high:.3f}) | {truth:.3f} | {gaps[-1]:+.1f} |", flush=True,
            )  # fmt: skip
    print(f"off by {statistics.median(map(abs, gaps)):.1f} points (median); {sum(held)} of {len(held)} intervals hold the truth")


def features(data: str, settings: dict[str, Any]) -> advise.Features:
    """What the frozen backbone says of train and val."""
    run = Run(job_of(resolve({"data": data, "plugin": "probe", **settings}), trust=False), Silent())
    run.load()
    run.prepare()
    return advise.features(run)


if __name__ == "__main__":
    main()
