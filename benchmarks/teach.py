"""What teaching a run another class costs: seconds, the old classes' accuracy, and how well the new one is known, as a table.

    python benchmarks/teach.py OUT DATA NAME FOLDER [--shots 1 5 20] [--seeds 5] [--set key=value ...]

DATA as --data of tlapp train; FOLDER holds pictures of the class NAME that DATA has not. The first so many of them, in an order
that each seed draws, are taught to a run of feature-extract with classifier=lda; 200 others say how well it is known then.
OUT is filled with runs. Seconds are of `tlapp.teach` in a process that has imported TensorFlow.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import time
from pathlib import Path

from domains import pairs

import tlapp

HEADER = "| pictures | old classes before | after | difference, mean | worst | new class recognised | seconds, median |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data")
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shots", nargs="*", type=int, default=[1, 5, 20])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    rows: dict[int, list[tuple[float, float, float, float]]] = {shots: [] for shots in given.shots}
    for seed in range(given.seeds):
        run = given.out / f"seed-{seed}"
        tlapp.train(
            data=given.data, plugin="feature-extract", classifier="lda", seed=seed, run=str(run), **pairs(given.set)
        )  # fmt: skip
        files = sorted(given.folder.iterdir())
        random.Random(seed).shuffle(files)
        for shots in given.shots:
            copy = shutil.copytree(run, given.out / f"seed-{seed}-{shots}")
            began = time.perf_counter()
            taught = tlapp.teach(copy, given.name, files[:shots])
            seconds = time.perf_counter() - began
            answers = tlapp.load(copy).predict(files[-200:])
            known = statistics.mean(answer.label == given.name for answer in answers)
            rows[shots].append((taught.before, taught.after, known, seconds))
    print(f"{HEADER}\n{'| --- ' * 7}|")
    for shots, seen in rows.items():
        before, after, known, seconds = zip(*seen, strict=True)
        gaps = [b - a for a, b in zip(before, after, strict=True)]
        print(
            f"| {shots} | {statistics.mean(before):.3f} | {statistics.mean(after):.3f} | {statistics.mean(gaps):+.4f} | "
            f"{min(gaps):+.4f} | {statistics.mean(known):.3f} | {statistics.median(seconds):.1f} |"
        )


if __name__ == "__main__":
    main()
