"""Does `tlapp advise` rank backbones as a full comparison does? EfficientNet-Lite0, 1, 2, and Lite0 at random, as a table.

    python benchmarks/ranking.py OUT DATA... [--plugins probe,partial] [--seeds 3] [--size 96]

DATA as --data of tlapp train. Advice looks at no test picture; the comparison's figure is the mean accuracy on test over the
seeds, of each strategy. A pair of backbones is in order where advice and the comparison agree on the better one, and counts
as sure where they differ by two standard errors of the seeds' differences.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
from pathlib import Path

import keras

import tlapp
from tlapp.backbones.keras_cv import KerasCV
from tlapp.engine.runs.folder import RunFolder

KNOWN = [f"keras-cv:efficientnet-lite{number}" for number in range(3)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--plugins", default="probe,partial")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=96)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    backbones = [*KNOWN, f"file:{random(given.out / 'random-lite0.keras', given.size)}"]
    plugins = given.plugins.split(",")
    print("| data | backbone | advice | " + " | ".join(plugins) + " |\n" + "| --- " * (3 + len(plugins)) + "|")
    agree = {plugin: [0, 0, 0, 0] for plugin in plugins}
    for number, data in enumerate(given.data):
        told = tlapp.advise(data=data, backbones=backbones, image_size=given.size)["backbones"]
        advised = {name: max(told[name]["accuracy"], told[name]["all_stages"]) for name in backbones}
        measured = compared(given.out / f"{number}-runs", data, plugins, backbones, given.seeds, given.size)
        for name in sorted(backbones, key=lambda each: -advised[each]):
            means = " | ".join(f"{statistics.mean(measured[plugin, name]):.3f}" for plugin in plugins)
            print(f"| {Path(data).name} | {Path(name).name} | {advised[name]:.3f} | {means} |", flush=True)
        for plugin in plugins:
            here = pairs_in_order(advised, measured, plugin)
            agree[plugin] = [before + more for before, more in zip(agree[plugin], here, strict=True)]
    for plugin, (right, pairs, sure_right, sure) in agree.items():
        print(f"{plugin}: {right} of {pairs} pairs in order; of those that are sure, {sure_right} of {sure}")


def random(path: Path, size: int) -> Path:
    """Write Lite0 as it is before any training."""
    keras.utils.set_random_seed(0)
    KerasCV().load("efficientnet-lite0", image_size=size, weights="none").graph.save(path)
    return path


def compared(
    out: Path, data: str, plugins: list[str], backbones: list[str], seeds: int, size: int
) -> dict[tuple[str, str], list[float]]:  # fmt: skip
    """(plugin, backbone) -> each seed's accuracy on test."""
    command = [
        sys.executable, "-m", "tlapp", "compare", "--data", data, "--plugins", ",".join(plugins),
        "--backbones", ",".join(backbones), "--seeds", str(seeds),
        "--output", str(out), "--set", f"image_size={size}", "--set", "report=off",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found: dict[tuple[str, str], list[float]] = {}
    for folder in sorted(each for each in out.iterdir() if each.is_dir()):
        run = RunFolder(folder)
        options = run.settings()
        found.setdefault((options["plugin"], options["backbone"]), []).append(run.metrics()["test"]["accuracy"])
    return found


def pairs_in_order(
    advised: dict[str, float], measured: dict[tuple[str, str], list[float]], plugin: str
) -> tuple[int, int, int, int]:  # fmt: skip
    """Pairs in order, all, those in order that are sure, all sure ones."""
    right = sure_right = sure = 0
    pairs = list(itertools.combinations(advised, 2))
    for one, other in pairs:
        gaps = [a - b for a, b in zip(measured[plugin, one], measured[plugin, other], strict=True)]
        gap = statistics.mean(gaps)
        agrees = (advised[one] - advised[other]) * gap > 0
        is_sure = abs(gap) > 2 * statistics.stdev(gaps) / len(gaps) ** 0.5
        right, sure, sure_right = right + agrees, sure + is_sure, sure_right + (agrees and is_sure)
    return right, len(pairs), sure_right, sure


if __name__ == "__main__":
    main()
