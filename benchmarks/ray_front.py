"""The front on a Ray of one worker beside one of two, a core each: `tlapp train --on ray` from an empty cache, in turns.

    python benchmarks/ray_front.py DATA --rounds 3

DATA: class folders of at least 1,000 pictures, better 4,000: the seconds of the front hold the start of the workers. Needs two
free cores; the process that hands the pictures out takes little of them. The answers must be the same to the last digit, and are
compared with those of this machine without Ray, too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tlapp.engine.runs.folder import PREDICTIONS, RunFolder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", default="keras-cv:efficientnet-lite0")
    parser.add_argument("--workers", type=int, help="train once, on so many: what each round starts in a process of its own")
    parser.add_argument("--run", help="with --workers, the folder of the run")
    given = parser.parse_args()
    if given.workers is not None:
        train(given.data, given.backbone, given.workers, given.run)
        return
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as place:
        answers = {apart(given, 0, Path(place) / "alone")[1]}
        for number in range(given.rounds):
            for workers in (1, 2):
                front, said = apart(given, workers, Path(place) / f"{workers}-{number}")
                seconds[workers].append(front)
                answers.add(said)
        count = sum(RunFolder(Path(place) / "alone").metrics()["images"].values())
    print(f"the same answers: {'yes' if len(answers) == 1 else 'NO'}; {count:,} pictures\n")
    print("| workers | seconds of the front | pictures a second | times as fast |\n| --- | --- | --- | --- |")
    for workers, found in seconds.items():
        ratio = statistics.median(one / other for one, other in zip(seconds[1], found, strict=True))
        median = statistics.median(found)
        print(f"| {workers} | {median:.1f} ({min(found):.1f} to {max(found):.1f}) | {count / median:.0f} | {ratio:.2f} |")


def apart(given: argparse.Namespace, workers: int, run: Path) -> tuple[float, str]:
    """Train in a process and with a cache of its own: the seconds of the front, and the answers."""
    words = [given.data, "--backbone", given.backbone, "--workers", str(workers), "--run", str(run)]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "TLAPP_CACHE": cache}
        ended = subprocess.run([sys.executable, __file__, *words], env=environment, check=True, capture_output=True, text=True)
    return json.loads(ended.stdout.splitlines()[-1]), RunFolder(run).file(PREDICTIONS).read_text(encoding="utf-8")


def train(data: str, backbone: str, workers: int, run: str) -> None:
    """Train on a Ray of so many workers; on this process alone where there are none."""
    import tlapp

    if workers:
        import ray

        ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    tlapp.train(plugin="feature-extract", data=data, backbone=backbone, run=run, report="off", on="ray" if workers else "")
    print(json.dumps(RunFolder(Path(run)).metrics()["seconds"]["front"]))


if __name__ == "__main__":
    main()
