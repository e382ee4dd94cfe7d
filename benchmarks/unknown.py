"""How often a model says "unknown": of what it knows, over 100 splits, and of what it does not.

python benchmarks/unknown.py RUN NAME=FOLDER... [--splits 100] [--hold-out CLASS...]

RUN is a finished run with val and test. Features and probabilities are those of its model; the means are of train; val and test
are thrown together and divided anew for each split. FOLDERs hold pictures of something else. For --hold-out CLASS, a logistic
regression on the features of the other classes takes the place of the head.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import tlapp
from tlapp.engine.advice.unknown import fitted
from tlapp.engine.inputs import ahead
from tlapp.engine.network.deploy import answers_of, head_of, trunk_of
from tlapp.engine.network.known import Known, cosines
from tlapp.engine.teach import features_of

MOST = 600
"""Strangers of a folder."""


def features(run: Any, trunk: Any, sources: list[str]) -> np.ndarray:
    """Of examples, (n, size)."""
    return np.concatenate([features_of(trunk, part.arrays) for part in ahead.parts(run.input, sources)])


def scores(known: Known, rows: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The output `known` of features (n, size) without its bounds and 0.5, (n,): known from 0 on."""
    near = (cosines(rows, known.means) - known.near) * 0.25 / known.spread
    return np.minimum(near, probabilities.max(1) - known.sure)


def auroc(test: np.ndarray, strangers: np.ndarray) -> float:
    """How well scores tell examples of the run from strangers."""
    return float(roc_auc_score(np.r_[np.ones(len(test)), np.zeros(len(strangers))], np.r_[test, strangers]))


def without(label: int, parts: dict[str, np.ndarray], coverage: float) -> str:
    """A class is left out of everything, and is then the stranger."""
    kept = {name: parts[f"{name}_labels"] != label for name in ("train", "val", "test")}
    middle, scale = parts["train"].mean(0), parts["train"].std()
    head = LogisticRegression(C=0.1, max_iter=100).fit(
        (parts["train"][kept["train"]] - middle) / scale, parts["train_labels"][kept["train"]]
    )
    ask = lambda rows: head.predict_proba((rows - middle) / scale)  # noqa: E731
    train, val = parts["train"][kept["train"]], parts["val"][kept["val"]]
    known = fitted(train, parts["train_labels"][kept["train"]], val, ask(val), coverage, 1)
    test, strangers = (scores(known, rows, ask(rows)) for rows in (parts["test"][kept["test"]], parts["test"][~kept["test"]]))
    return (
        f"AUROC {auroc(test, strangers):.3f}, called unknown {(strangers < 0).mean():.1%}, others known {(test >= 0).mean():.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("strangers", nargs="*", help="NAME=FOLDER")
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--coverage", type=float, default=0.95)
    parser.add_argument("--hold-out", nargs="*", default=[])
    asked = parser.parse_args()
    run, parts = tlapp.load(asked.run), {}
    trunk, head, last = trunk_of(run.model), head_of(run.model), answers_of(run.model)
    ask = lambda rows: np.asarray(last(head(rows)))  # noqa: E731
    for name in ("train", "val", "test"):
        rows = [row for row in run.files.splits(run.input.column) if row["split"] == name]
        parts[name] = features(run, trunk, [row[run.input.column] for row in rows])
        parts[f"{name}_labels"] = np.array([run.labels.index(row["label"]) for row in rows])
    every = np.concatenate([parts["val"], parts["test"]])
    answers, count, dice, shares = ask(every), len(parts["val"]), np.random.default_rng(0), []
    for _ in range(asked.splits):
        order = dice.permutation(len(every))
        val, test = order[:count], order[count:]
        known = fitted(parts["train"], parts["train_labels"], every[val], answers[val], asked.coverage, 1)
        shares.append((scores(known, every[test], answers[test]) >= 0).mean())
    print(f"asked {asked.coverage:.0%}, {count} val, {len(every) - count} test, {asked.splits} splits: met {np.mean(shares):.2%}")
    print(f"  standard deviation {np.std(shares):.2%}, lowest {min(shares):.1%}, highest {max(shares):.1%}", flush=True)
    known = fitted(parts["train"], parts["train_labels"], parts["val"], ask(parts["val"]), asked.coverage, 1)
    test = scores(known, parts["test"], ask(parts["test"]))
    for name, _, folder in (each.partition("=") for each in asked.strangers):
        files = sorted(str(file) for file in Path(folder).rglob("*") if file.suffix in (".png", ".jpg"))
        rows = features(run, trunk, [files[n] for n in dice.permutation(len(files))[:MOST]])
        found = scores(known, rows, ask(rows))
        print(f"{name}: AUROC {auroc(test, found):.3f}, called unknown {(found < 0).mean():.1%} of {len(found)}", flush=True)
    for label in asked.hold_out:
        print(f"without {label}: {without(run.labels.index(label), parts, asked.coverage)}", flush=True)


if __name__ == "__main__":
    main()
