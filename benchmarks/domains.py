"""Adapting to another domain, over several seeds, as a table: what selects never sees a label of the target.

    python benchmarks/domains.py OUT SOURCE TARGET STRATEGY [STRATEGY ...] [--test FOLDER] [--seeds 3] [--set key=value ...]

SOURCE and TARGET are class folders; a strategy may bring settings of its own: adversarial:method=dann,last=0. --test: pictures of
the target that no run sees, for a column of their own. OUT keeps the last run of each strategy.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import tlapp

HEADER = "| strategy | source only | adapted | oracle epoch | on --test | score before, after | kept | seconds a run, median |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("strategies", nargs="+")
    parser.add_argument("--test", help="class folders of the target that no run sees")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    common = {"data": given.source, "target": given.target, **pairs(given.set)}
    print(f"{HEADER}\n{'| --- ' * 8}|", flush=True)
    for strategy in given.strategies:
        name, _, own = strategy.partition(":")
        settings = {"plugin": name, **common, **pairs(own.split(",") if own else [])}
        print(row(strategy, given.out / strategy.replace(":", "-"), settings, given.seeds, given.test), flush=True)


def pairs(words: list[str]) -> dict[str, str]:
    """Settings from key=value."""
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def row(title: str, run: Path, settings: dict[str, str], seeds: int, test: str | None) -> str:
    """One strategy's line: means over the seeds, and in brackets each seed's accuracy on what no run saw."""
    told, seconds, unseen = [], [], []
    for seed in range(seeds):
        shutil.rmtree(run, ignore_errors=True)
        began = time.perf_counter()
        saved = tlapp.train(seed=seed, run=str(run), **settings)
        seconds.append(time.perf_counter() - began)
        found = saved.metrics
        told.append(found.get("adaptation") or dict.fromkeys(("source_only", "adapted", "oracle"), whole(found)))
        unseen += [saved.evaluate(test)["accuracy"]] if test else []

    def mean(which: str, key: str) -> float:
        return statistics.mean(each[which][key] for each in told)

    accuracies = " | ".join(f"{mean(which, 'accuracy'):.3f}" for which in ("source_only", "adapted", "oracle"))
    tested = f"{statistics.mean(unseen):.3f} ({', '.join(f'{each:.3f}' for each in unseen)})" if unseen else ""
    kept = ", ".join(f"{each['adapted']['phase']} {each['adapted']['epoch']}" for each in told)
    scores = f"{mean('source_only', 'score'):.3f}, {mean('adapted', 'score'):.3f}"
    return f"| {title} | {accuracies} | {tested} | {scores} | {kept} | {statistics.median(seconds):.0f} |"


def whole(metrics: dict[str, Any]) -> dict[str, Any]:
    """A run that never looked at the target without labels: its final accuracy."""
    return {"accuracy": metrics["target"]["accuracy"], "score": float("nan"), "phase": "the", "epoch": "end"}


if __name__ == "__main__":
    main()
