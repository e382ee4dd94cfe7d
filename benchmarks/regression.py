"""R2 of strategies with the head regression, beside a ridge regression on the same frozen features, over several seeds.

    python benchmarks/regression.py OUT STRATEGY [STRATEGY ...] [--seeds 3] [--set key=value ...]

Two sets with known truth: discs by their radius (400 pictures, drawn here), and the built-in digits by their value. The ridge's
strength is chosen on val, and its test pictures are those of the runs. OUT keeps the last run of each strategy.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from domains import pairs
from PIL import Image

import tlapp

STRENGTHS = np.logspace(-3, 6, 19)
SIDE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("strategies", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    print("| set | what | R2 on test, mean | each seed |\n| --- | --- | --- | --- |", flush=True)
    for name, data in (("discs", str(discs(given.out / "discs"))), ("digits", "builtin:digits")):
        frozen: list[float] = []
        for strategy in given.strategies:
            plugin, _, own = strategy.partition(":")
            settings = {"plugin": plugin, "data": data, **pairs(given.set), **pairs(own.split(",") if own else [])}
            results = []
            for seed in range(given.seeds):
                run = given.out / re.sub(r"\W+", "-", f"{name}-{strategy}")
                shutil.rmtree(run, ignore_errors=True)
                saved = tlapp.train(head="regression", seed=seed, run=str(run), **settings)
                results.append(saved.metrics["test"]["r2"])
                if plugin == "freeze" and not own:
                    frozen.append(ridge(saved))
            print(line(name, strategy, results), flush=True)
        if frozen:
            print(line(name, "ridge on the frozen features (scikit-learn)", frozen), flush=True)


def line(name: str, what: str, results: list[float]) -> str:
    """One line of the table."""
    return f"| {name} | {what} | {statistics.mean(results):.4f} | {', '.join(f'{each:.4f}' for each in results)} |"


def ridge(saved: Any) -> float:
    """R2 on test of a ridge regression on the features of a run whose backbone is frozen."""
    import keras
    from sklearn.linear_model import Ridge

    model = saved.model
    features = keras.Model(model.inputs, model.get_layer("outputs").input)
    with open(saved.folder / "splits.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    x: dict[str, np.ndarray] = {}
    y: dict[str, np.ndarray] = {}
    for split in ("train", "val", "test"):
        own = [row for row in rows if row["split"] == split]
        arrays = np.stack([saved.input.read(row["path"])[0] for row in own])
        x[split], y[split] = (
            features.predict(arrays, verbose=0).astype(np.float64),
            np.array([float(row["label"]) for row in own]),
        )
    fits = [Ridge(strength).fit(x["train"], y["train"]) for strength in STRENGTHS]
    best = max(fits, key=lambda fit: fit.score(x["val"], y["val"]))
    return float(best.score(x["test"], y["test"]))


def discs(folder: Path, count: int = 400) -> Path:
    """Write discs of random radius and place on noise, and a CSV that labels each with its radius in pixels; return the CSV."""
    table = folder / "discs.csv"
    if table.exists():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(0), ["path,label"]
    row, column = np.mgrid[:SIDE, :SIDE]
    for number in range(count):
        radius = rng.uniform(4, 28)
        middle = rng.uniform(radius, SIDE - radius, 2)
        picture = rng.integers(0, 120, (SIDE, SIDE, 3), dtype=np.uint8)
        picture[(row - middle[0]) ** 2 + (column - middle[1]) ** 2 < radius**2] = rng.integers(140, 256, 3)
        Image.fromarray(picture).save(folder / f"{number:04d}.png")
        rows.append(f"{number:04d}.png,{radius:.3f}")
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table


if __name__ == "__main__":
    main()
