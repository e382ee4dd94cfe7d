"""tlapp beside the ordinary way: whole processes, in alternating runs, as a table of ratios.

    python benchmarks/speed.py OUT [--strategies freeze,partial,full] [--pictures 2000] [--epochs 10] [--runs 3]
    python benchmarks/speed.py OUT --data stamps   # photographs, some 240 to train on, instead of Fashion-MNIST
    python benchmarks/speed.py OUT --growth        # tlapp alone: 500, 2,000, 8,000 pictures; 1, 10, 50 epochs

OUT keeps the pictures (built on first use), the runs and the caches. Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from pictures import fashion, stamps

HERE = Path(__file__).parent
OPTIONS = {
    "freeze": [],
    "partial": ["--warmup", "0", "--learning-rate", "1e-4"],
    "full": ["--warmup", "0", "--learning-rate", "1e-4"],
}


def timed(command: list[str], cache: Path) -> dict:
    """Run a command; its JSON with the seconds of the whole process."""
    began = time.perf_counter()
    environment = {**os.environ, "TLAPP_CACHE": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": time.perf_counter() - began}


def tlapp(out: Path, data: Path, strategy: str, epochs: int, warm: bool = False) -> dict:
    """A run of tlapp on an empty cache, or on the one that the last run left."""
    cache, run = out / "cache", out / "run"
    shutil.rmtree(run, ignore_errors=True)
    if not warm:
        shutil.rmtree(cache, ignore_errors=True)
    command = [sys.executable, "-m", "tlapp", "train", "--plugin", strategy, "--data", str(data), "--run", str(run), "--json"]
    found = timed([*command, "--epochs", str(epochs), "--patience", "1000", *OPTIONS[strategy]], cache)
    return {"seconds": found["seconds"], "accuracy": found["test"]["accuracy"], "peak_memory_mb": found["peak_memory_mb"]}


def ordinary(out: Path, data: Path, strategy: str, epochs: int, *more: str) -> dict:
    """A run of the ordinary way."""
    return timed([sys.executable, str(HERE / "ordinary.py"), str(data), strategy, str(epochs), *more], out / "cache")


def compare(out: Path, data: Path, strategy: str, epochs: int, runs: int) -> None:
    """Alternating runs of one strategy, as rows of the table."""
    ways = {"ordinary": lambda: ordinary(out, data, strategy, epochs)}
    if strategy == "full":
        ways["ordinary, batch norm frozen"] = lambda: ordinary(out, data, strategy, epochs, "--frozen-norm")
    ways["tlapp"] = lambda: tlapp(out, data, strategy, epochs)
    if strategy != "full":
        ways["tlapp, warm cache"] = lambda: tlapp(out, data, strategy, epochs, warm=True)
    results = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            results[name].append(way())
            print(strategy, name, results[name][-1], file=sys.stderr, flush=True)
    for name, found in results.items():
        ratios = [base["seconds"] / each["seconds"] for base, each in zip(results["ordinary"], found, strict=True)]
        seconds, accuracy, memory = (
            statistics.median(each[key] for each in found) for key in ("seconds", "accuracy", "peak_memory_mb")
        )
        print(
            f"| {strategy}, {epochs} epochs, {data.name} | {name} | {seconds:.1f} | {statistics.median(ratios):.1f} "
            f"| {accuracy:.3f} | {memory:.0f} |",
            flush=True,
        )


def growth(out: Path) -> None:
    """How the cost of freeze grows with pictures and with epochs."""
    for pictures, epochs in ((500, 10), (2000, 10), (8000, 10), (2000, 1), (2000, 50)):
        found = tlapp(out, fashion(out, pictures), "freeze", epochs)
        print(
            f"| freeze, {epochs} epochs, {pictures} pictures | tlapp | {found['seconds']:.1f} | | {found['accuracy']:.3f} "
            f"| {found['peak_memory_mb']:.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--strategies", default="freeze,partial,full")
    parser.add_argument("--data", default="fashion", choices=("fashion", "stamps"))
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--growth", action="store_true")
    given = parser.parse_args()
    out = given.out.resolve()
    print("| what | way | seconds | times as fast | test accuracy | peak memory, MB |\n| --- | --- | --- | --- | --- | --- |")
    if given.growth:
        return growth(out)
    data = stamps(out) if given.data == "stamps" else fashion(out, given.pictures)
    for strategy in given.strategies.split(","):
        compare(out, data, strategy, given.epochs, given.runs)


if __name__ == "__main__":
    main()
