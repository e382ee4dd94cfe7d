"""Test accuracy of strategies over several seeds (each with a split of its own), as a table.

    python benchmarks/accuracy.py OUT DATA STRATEGY [STRATEGY ...] [--seeds 5] [--set key=value ...]

DATA as --data of tlapp train. OUT keeps the last run of each strategy.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path

import tlapp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data")
    parser.add_argument("strategies", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    settings = dict(pair.split("=", 1) for pair in given.set)
    print("| strategy | test accuracy, mean | standard deviation | lowest | seconds a run, median |")
    print("| --- | --- | --- | --- | --- |")
    for strategy in given.strategies:
        found, seconds = [], []
        for seed in range(given.seeds):
            run = given.out / strategy
            shutil.rmtree(run, ignore_errors=True)
            began = time.perf_counter()
            result = tlapp.train(plugin=strategy, data=given.data, seed=seed, run=str(run), **settings)
            seconds.append(time.perf_counter() - began)
            found.append(result.metrics["test"]["accuracy"])
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        print(
            f"| {strategy} | {statistics.mean(found):.3f} | {spread:.3f} | {min(found):.3f} | {statistics.median(seconds):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
