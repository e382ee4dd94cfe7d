"""Adapting to another domain, over several seeds, as a table: what selects never sees a label of the target.

    python benchmarks/domains.py OUT SOURCE TARGET STRATEGY [STRATEGY ...] [--seeds 3] [--set key=value ...]

SOURCE and TARGET are class folders; OUT keeps the last run of each strategy.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path

import tlapp

HEADER = "| strategy | source only | adapted | oracle epoch | score before, after | kept | seconds a run, median |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("strategies", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    settings = dict(pair.split("=", 1) for pair in given.set)
    print(f"{HEADER}\n{'| --- ' * 7}|")
    for strategy in given.strategies:
        print(
            row(given.out / strategy, strategy, {"data": given.source, "target": given.target, **settings}, given.seeds),
            flush=True,
        )


def row(run: Path, strategy: str, settings: dict[str, str], seeds: int) -> str:
    """One strategy's line: means over the seeds."""
    told, seconds = [], []
    for seed in range(seeds):
        shutil.rmtree(run, ignore_errors=True)
        began = time.perf_counter()
        found = tlapp.train(plugin=strategy, seed=seed, run=str(run), **settings).metrics
        seconds.append(time.perf_counter() - began)
        told.append(found.get("adaptation") or dict.fromkeys(("source_only", "adapted", "oracle"), whole(found)))

    def mean(which: str, key: str) -> float:
        return statistics.mean(each[which][key] for each in told)

    accuracies = " | ".join(f"{mean(which, 'accuracy'):.3f}" for which in ("source_only", "adapted", "oracle"))
    kept = ", ".join(each["adapted"]["phase"] for each in told)
    scores = f"{mean('source_only', 'score'):.3f}, {mean('adapted', 'score'):.3f}"
    return f"| {strategy} | {accuracies} | {scores} | {kept} | {statistics.median(seconds):.0f} |"


def whole(metrics: dict) -> dict:
    """A run that never looked at the target without labels: its final accuracy."""
    return {"accuracy": metrics["target"]["accuracy"], "score": float("nan"), "phase": "the end"}


if __name__ == "__main__":
    main()
