"""What a temperature does to the calibration of finished runs, as they are and with fewer val examples.

python benchmarks/calibration.py RUN... [--draws 20]     # runs of a head of one label: a line each, then smaller val sets

The logits are those of the run's probabilities.npz. For the table, val and test are thrown together and drawn anew: so many
examples fit the temperature and the others judge it, with and without the prior on it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.special import softmax

from tlapp.engine.advice.calibration import SPREAD, expected_error, temperature
from tlapp.engine.advice.probe import loss
from tlapp.engine.runs.folder import PROBABILITIES, RunFolder

COUNTS = (25, 50, 100, 200)
WAYS = {"none": None, "likelihood": np.inf, "prior 0.3": SPREAD, "prior 1": 1.0}


def logits_of(run: Path) -> dict[str, np.ndarray]:
    """What the run's head said of val and test, but for a constant a row, and their labels."""
    files = RunFolder(run)
    kept, divided = files.arrays(PROBABILITIES), files.metrics()["calibration"]["temperature"]
    odds = {name: divided * np.log(np.clip(kept[name].astype(float), 1e-30, 1)) for name in ("val", "test")}
    return {**odds, **{f"{name}_labels": kept[f"{name}_labels"] for name in ("val", "test")}}


def line(run: Path) -> str:
    """One run: temperature, and the expected calibration error before and after."""
    kept = logits_of(run)
    best = temperature(kept["val"], kept["val_labels"], SPREAD)
    words = []
    for name in ("val", "test"):
        before, after = (expected_error(softmax(kept[name] / by, axis=1), kept[f"{name}_labels"]) for by in (1.0, best))
        words.append(f"{name} {before:.4f} -> {after:.4f}")
    return f"{run.name}: {len(kept['val'])} val, {len(kept['test'])} test, temperature {best:.3f}, ECE {', '.join(words)}"


def smaller(run: Path, draws: int) -> list[str]:
    """Smaller val sets: mean ECE and loss on the others, a line a count and way."""
    kept, dice, lines = logits_of(run), np.random.default_rng(0), []
    logits, labels = (np.concatenate([kept[f"{name}{end}"] for name in ("val", "test")]) for end in ("", "_labels"))
    for count in (each for each in COUNTS if each + 100 <= len(labels)):
        orders = [dice.permutation(len(labels)) for _ in range(draws)]
        for name, spread in WAYS.items():
            errors, losses, found = [], [], []
            for order in orders:
                fit, rest = order[:count], order[count:]
                found.append(1.0 if spread is None else temperature(logits[fit], labels[fit], spread))
                errors.append(expected_error(softmax(logits[rest] / found[-1], axis=1), labels[rest]))
                losses.append(loss(logits[rest] / found[-1], labels[rest]))
            scatter = f"T {np.mean(found):.2f} +- {np.std(found):.2f}"
            lines.append(f"{run.name} {count:4} val, {name:10} {scatter}  ECE {np.mean(errors):.3f}  loss {np.mean(losses):.3f}")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--draws", type=int, default=20)
    asked = parser.parse_args()
    for each in asked.runs:
        print(line(each), flush=True)
    for each in asked.runs if asked.draws else ():
        print("\n".join(smaller(each, asked.draws)), flush=True)
