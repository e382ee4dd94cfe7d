"""`tlapp predict` with and without TensorFlow: whole processes, in alternating rounds, as a table of medians.

    python benchmarks/predict.py RUN PICTURES [--rounds 5] [--count 1000]

RUN is a finished run on pictures, PICTURES a folder of at least COUNT of them. The first answers, which are not timed, make the
file by which the run answers without TensorFlow, and compile Python's files, as an installation does. TensorFlow's way is the
same command, told not to look for that file. User seconds are of all cores and steadier than the clock where other programs
run. Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = {
    "TensorFlow": "from tlapp.engine.export.fast import FastRun; FastRun._can_be_fast = False; ",
    "without TensorFlow": "",
}
COMPILED = tempfile.mkdtemp(prefix="tlapp-benchmark-")
CODE = "from tlapp.cli.main import main; main()"


def timed(way: str, run: Path, files: list[str]) -> tuple[float, float, dict[str, dict[str, float]]]:
    """Seconds of a process by the clock and of its cores, and the labels of each file."""
    command = [sys.executable, "-c", WAYS[way] + CODE, "predict", str(run), "-", "--json"]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": COMPILED, "PYTHONDONTWRITEBYTECODE": ""}
    before, began = os.times().children_user, time.perf_counter()
    done = subprocess.run(command, input="\n".join(files), capture_output=True, text=True, check=False, env=environment)
    seconds, user = time.perf_counter() - began, os.times().children_user - before
    if done.returncode:
        sys.exit(f"ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds, user, {each["file"]: each["labels"] for each in json.loads(done.stdout)["predictions"]}


def compare(run: Path, files: list[str], rounds: int) -> None:
    """Both ways in turn, as rows of the table."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        answers = {}
        for way in WAYS:
            *seconds, answers[way] = timed(way, run, files)
            found[way].append(tuple(seconds))
            print(len(files), way, *(f"{each:.2f}" for each in seconds), file=sys.stderr, flush=True)
        slow, fast = answers.values()
        same = sum([*slow[file]] == [*fast[file]] for file in slow)
        far = max(abs(p - fast[file].get(name, 0.0)) for file, labels in slow.items() for name, p in labels.items())
        print(f"{same} of {len(slow)} labels are the same; probabilities differ by up to {far:.1e}", file=sys.stderr, flush=True)
    for way, rows in found.items():
        ratio = statistics.median(base / mine for (base, _), (mine, _) in zip(found["TensorFlow"], rows, strict=True))
        clock, user = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {len(files)} | {way} | {clock:.2f} | {user:.2f} | {ratio:.1f} |", flush=True)


def main() -> None:
    """Make the file, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000)
    given = parser.parse_args()
    files = sorted(str(path) for path in given.pictures.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if len(files) < given.count:
        sys.exit(f"{given.pictures} holds {len(files)} pictures; --count asks for {given.count}")
    for way in reversed(WAYS):
        timed(way, given.run, files[:1])
    if not (given.run / "fast" / "golden.json").is_file():
        sys.exit(f"{given.run} cannot answer without TensorFlow")
    print("| pictures | way | seconds | user seconds | times as fast |\n| --- | --- | --- | --- | --- |", flush=True)
    for part in (files[:1], files[: given.count]):
        compare(given.run, part, given.rounds)


if __name__ == "__main__":
    main()
