"""How often a model says "unknown": of what it knows, over 100 splits, and of what it does not.

python benchmarks/unknown.py RUN NAME=FOLDER... [--splits 100] [--hold-out CLASS...] [--rules] [--latency N]

RUN is a finished run with val and test. Features and probabilities are those of its model; the means are of train; val and test
are thrown together and divided anew for each split. FOLDERs hold pictures of something else. For --hold-out CLASS, a logistic
regression on the features of the other classes takes the place of the head.

--rules compares rules by which a stranger could be told, on the features of 2,500 training examples, with a logistic regression
as the head. --latency N times, N times in turn, a TFLite file with the output `known` and one without, on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import tlapp
from tlapp.engine.advice.unknown import fitted
from tlapp.engine.inputs import ahead
from tlapp.engine.network import known as module
from tlapp.engine.network.deploy import answers_of, head_of, trunk_of
from tlapp.engine.network.known import Known, cosines, means_of, unit_rows
from tlapp.engine.teach import features_of

MOST = 600
"""Strangers of a folder."""
KEPT = 2500
"""Training examples that rules are compared on."""
RANK = 64
"""Directions in which a covariance is kept; the rest has one variance."""
NEIGHBOUR = 10


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
    train, val = parts["train"][kept["train"]], parts["val"][kept["val"]]
    head, ready = logistic(train, parts["train_labels"][kept["train"]])
    ask = lambda rows: head.predict_proba(ready(rows))  # noqa: E731
    known = fitted(train, parts["train_labels"][kept["train"]], val, ask(val), coverage, 1)
    test, strangers = (scores(known, rows, ask(rows)) for rows in (parts["test"][kept["test"]], parts["test"][~kept["test"]]))
    return (
        f"AUROC {auroc(test, strangers):.3f}, called unknown {(strangers < 0).mean():.1%}, others known {(test >= 0).mean():.1%}"
    )


def logistic(rows: np.ndarray, labels: np.ndarray) -> tuple[LogisticRegression, Callable[[np.ndarray], np.ndarray]]:
    """A classifier of features, and what makes them ready for it."""
    middle, scale = rows.mean(0), rows.std()
    return LogisticRegression(C=0.1, max_iter=100).fit((rows - middle) / scale, labels), lambda each: (each - middle) / scale


def gaussian(rows: np.ndarray, centred: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Squared Mahalanobis distances (n, means) of rows to means; the covariance of `centred` in `RANK` directions and a rest."""
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    basis, inner, rest = vectors[:, -RANK:], values[-RANK:], values[:-RANK].mean()

    def distances(each: np.ndarray, means: np.ndarray) -> np.ndarray:
        gaps = each[:, None] - means
        inside = gaps @ basis
        return (inside**2 / inner).sum(-1) + ((gaps**2).sum(-1) - (inside**2).sum(-1)) / rest

    return distances


def rules(train: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Name -> rows of features to scores (n,), high for what is like the training rows."""
    (head, ready), unit = logistic(train, labels), unit_rows(train)
    nearest = {}
    for count in (1, 4, 12):
        module.MEANS, before = count, module.MEANS
        nearest[count] = means_of(train, labels, int(labels.max()) + 1)
        module.MEANS = before

    def mahalanobis(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        means = np.stack([rows[labels == label].mean(0) for label in np.unique(labels)])
        distances = gaussian(rows, rows - means[np.unique(labels, return_inverse=True)[1]])
        return lambda each: -np.concatenate([distances(part, means).min(1) for part in np.array_split(each, 20)])

    of_raw, of_unit, middle = mahalanobis(train), mahalanobis(unit), train.mean(0)
    of_all = gaussian(train, train - middle)

    def energy(each: np.ndarray) -> np.ndarray:
        logits = head.decision_function(ready(each))
        return np.logaddexp.reduce(logits, axis=1)

    sure = lambda each: head.predict_proba(ready(each)).max(1)  # noqa: E731
    near = {count: lambda each, means=means: cosines(each, means) for count, means in nearest.items()}
    return {
        "largest probability": sure,
        "energy": energy,
        f"Mahalanobis, shared covariance, rank {RANK} and a rest": of_raw,
        "the same on features of length 1": lambda each: of_unit(unit_rows(each)),
        "relative Mahalanobis": lambda each: of_raw(each) + of_all(each, middle[None])[:, 0],
        f"{NEIGHBOUR}th nearest by cosine": lambda each: np.sort(unit_rows(each) @ unit.T, axis=1)[:, -NEIGHBOUR],
        **{f"nearest of {count} by cosine": rule for count, rule in near.items()},
        "largest probability and nearest of 4": lambda each: worse(sure(each), near[4](each)),
        "largest probability and nearest of 12": lambda each: worse(sure(each), near[12](each)),
        "energy and nearest of 4": lambda each: worse(energy(each), near[4](each)),
    }


def worse(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The lower of each row's ranks by two scores."""
    return np.minimum(*(scores.argsort().argsort() for scores in (one, other)))


def compared(parts: dict[str, np.ndarray], strangers: dict[str, np.ndarray], held_out: dict[str, int]) -> None:
    """Print the AUROC of every rule, for strangers and for classes that are left out."""
    order = np.random.default_rng(0).permutation(len(parts["train"]))[:KEPT]
    train, labels, table = parts["train"][order], parts["train_labels"][order], {}
    tasks = {name: (train, labels, parts["test"], rows) for name, rows in strangers.items()}
    for name, label in held_out.items():
        is_out = parts["test_labels"] == label
        tasks[f"without {name}"] = train[labels != label], labels[labels != label], parts["test"][~is_out], parts["test"][is_out]
    for rows, classes, test, others in tasks.values():
        for name, rule in rules(rows, classes).items():
            found = rule(np.concatenate([test, others]))
            table.setdefault(name, []).append(f"{auroc(found[: len(test)], found[len(test) :]):.3f}")
    print("rule", *tasks, sep=" | ")
    for name, row in table.items():
        print(name, *row, sep=" | ")


def latency(run: Any, times: int) -> None:
    """Print the median milliseconds of the run's TFLite file with and without the output `known`."""
    from ai_edge_litert.interpreter import Interpreter

    from tlapp.engine.export.converter import convert

    with tempfile.TemporaryDirectory() as folder:
        ask = {}
        for name, model in (("without", run.model), ("with", run.judging)):
            path = Path(folder, f"{name}.tflite")
            path.write_bytes(convert(model, "none", None, run.input.export))
            ask[name] = Interpreter(str(path), num_threads=1)
            ask[name].allocate_tensors()
        seconds: dict[str, list[float]] = {name: [] for name in ask}
        for number in range(times + 5):
            for name, interpreter in ask.items():
                began = time.perf_counter()
                interpreter.invoke()
                if number >= 5:
                    seconds[name].append(time.perf_counter() - began)
    print(*(f"{name} known: {1000 * np.median(each):.2f} ms" for name, each in seconds.items()), sep=", ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("strangers", nargs="*", help="NAME=FOLDER")
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--coverage", type=float, default=0.95)
    parser.add_argument("--hold-out", nargs="*", default=[])
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--latency", type=int, default=0, metavar="N")
    asked = parser.parse_args()
    run, parts = tlapp.load(asked.run), {}
    if asked.latency:
        latency(run, asked.latency)
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
    test, strangers = scores(known, parts["test"], ask(parts["test"])), {}
    for name, _, folder in (each.partition("=") for each in asked.strangers):
        files = sorted(str(file) for file in Path(folder).rglob("*") if file.suffix in (".png", ".jpg"))
        rows = features(run, trunk, [files[n] for n in dice.permutation(len(files))[:MOST]])
        strangers[name], found = rows, scores(known, rows, ask(rows))
        print(f"{name}: AUROC {auroc(test, found):.3f}, called unknown {(found < 0).mean():.1%} of {len(found)}", flush=True)
    for label in asked.hold_out:
        print(f"without {label}: {without(run.labels.index(label), parts, asked.coverage)}", flush=True)
    if asked.rules:
        compared(parts, strangers, {label: run.labels.index(label) for label in asked.hold_out})


if __name__ == "__main__":
    main()
