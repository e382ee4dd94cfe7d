"""Is the verdict right where the answer is known? Good, random and shuffled weights of one network, on small and large sets.

    python benchmarks/verdict.py OUT DATA... [--plugin freeze] [--seeds 1] [--set key=value ...]

Each DATA, as --data of tlapp train, is trained with --verdict on three bodies of EfficientNet-Lite0: its ImageNet weights, random
ones, and the ImageNet weights with each array's numbers shuffled. Transfer is to help with the first and not with the others.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from domains import pairs

import tlapp

GOOD = "keras-cv:efficientnet-lite0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--plugin", default="freeze")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    settings = pairs(given.set)
    bodies: dict[str, dict[str, Any]] = {
        "good": {"backbone": GOOD},
        "random": {"backbone": GOOD, "backbone_weights": "none"},
        "shuffled": {"backbone": f"file:{shuffled(given.out / 'shuffled.keras', settings.get('image_size'))}"},
    }
    right = 0
    print("| data | body | accuracy | from random weights | difference, points | verdict | right |\n" + "| --- " * 7 + "|")
    for number, data in enumerate(given.data):
        for seed in range(given.seeds):
            for body, backbone in bodies.items():
                place = given.out / f"{number}-{body}-{seed}"
                run = tlapp.train(
                    plugin=given.plugin, data=data, verdict=True, seed=seed, run=str(place), **{**settings, **backbone}
                )
                metrics, scratch = run.metrics, run.metrics["baselines"]["scratch"]
                low, high = scratch["difference_interval"]
                says = "helps" if low > 0 else "harms" if high < 0 else "no sure difference"
                fits = (says == "helps") == (body == "good")
                right += fits
                print(
                    f"| {Path(data).name} | {body} | {metrics['test']['accuracy']:.3f} | {scratch['accuracy']:.3f} | "
                    f"{100 * scratch['difference']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}) | {says} | {fits} |",
                    flush=True,
                )
    print(f"right: {right} of {len(given.data) * given.seeds * len(bodies)}")


def shuffled(path: Path, size: Any) -> Path:
    """Write the network with the numbers of each array of its weights in another order."""
    from tlapp.backbones.keras_cv import KerasCV

    graph, rng = KerasCV().load(GOOD.partition(":")[2], image_size=size and int(size)).graph, np.random.default_rng(0)
    graph.set_weights([rng.permutation(array.ravel()).reshape(array.shape) for array in graph.get_weights()])
    graph.save(path)
    return path


if __name__ == "__main__":
    main()
