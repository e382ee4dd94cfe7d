"""Test accuracy of strategies over several seeds (each with a split of its own), as a table.

    python benchmarks/accuracy.py OUT DATA STRATEGY [STRATEGY ...] [--seeds 5] [--set key=value ...]

DATA as --data of tlapp train. A strategy may bring settings of its own: partial:blend=10,average=0.99. The last two columns
compare with the first strategy, seed by seed: mean of the differences, its standard error, and how often better and worse.
OUT keeps the last run of each strategy.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from domains import pairs

import tlapp

HEADER = (
    "| strategy | test accuracy, mean | standard deviation | lowest | seconds a run, median | beside the first | better, worse |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data")
    parser.add_argument("strategies", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    common = {"data": given.data, **pairs(given.set)}
    print(f"{HEADER}\n{'| --- ' * 7}|", flush=True)
    first: list[float] = []
    for strategy in given.strategies:
        name, _, own = strategy.partition(":")
        settings = {"plugin": name, **common, **pairs(own.split(",") if own else [])}
        accuracies, seconds = measure(given.out / re.sub(r"\W+", "-", strategy), settings, given.seeds)
        first = first or accuracies
        print(f"| {strategy} | {' | '.join(columns(accuracies, seconds, first))} |", flush=True)


def measure(run: Path, settings: dict[str, str], seeds: int) -> tuple[list[float], list[float]]:
    """Test accuracy and seconds of a run with each seed."""
    accuracies, seconds = [], []
    for seed in range(seeds):
        shutil.rmtree(run, ignore_errors=True)
        began = time.perf_counter()
        result = tlapp.train(seed=seed, run=str(run), **settings)
        seconds.append(time.perf_counter() - began)
        accuracies.append(result.metrics["test"]["accuracy"])
    return accuracies, seconds


def columns(accuracies: list[float], seconds: list[float], first: list[float]) -> Iterator[str]:
    """The cells of one strategy's line."""
    gaps = [one - other for one, other in zip(accuracies, first, strict=True)]
    yield f"{statistics.mean(accuracies):.3f}"
    yield f"{spread(accuracies):.3f}"
    yield f"{min(accuracies):.3f}"
    yield f"{statistics.median(seconds):.0f}"
    yield f"{statistics.mean(gaps):+.3f} ± {spread(gaps) / len(gaps) ** 0.5:.3f}"
    yield f"{sum(gap > 0 for gap in gaps)}, {sum(gap < 0 for gap in gaps)}"


def spread(values: list[float]) -> float:
    """Standard deviation; 0 of one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
