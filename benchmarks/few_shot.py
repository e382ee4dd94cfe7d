"""Few-shot accuracy of plain classifiers on a run's frozen features, on classes that it has not seen, as a table.

    python benchmarks/few_shot.py RUN FOLDER [--way 5 20] [--shot 1 5] [--query 15] [--episodes 600] [--views 3]
        [--only CLASSIFIER ...]

RUN: of few-shot, or of feature-extract with classifier=lda. FOLDER: class folders of other classes. An episode draws `way` of
them, `shot` pictures of each to learn from and `query` others to judge by (fewer where a class has fewer); the mean accuracy over
the episodes and its 95 % interval. Needs the pictures of FOLDER through the network once; the episodes are arithmetic.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tlapp_plugins.shared import support

import tlapp
from tlapp.engine.inputs import ahead
from tlapp.engine.inputs.views import frame

Classifier = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(features to learn from (n, d), their classes (n,), features to judge by (m, d)) -> answers (m,)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--way", nargs="*", type=int, default=[5, 20])
    parser.add_argument("--shot", nargs="*", type=int, default=[1, 5])
    parser.add_argument("--query", type=int, default=15)
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--views", type=int, default=1, help="of each picture to learn from, as `tlapp adapt` makes them")
    parser.add_argument("--only", nargs="*", default=[], metavar="CLASSIFIER", help="rows of the table; all by default")
    given = parser.parse_args()
    run = tlapp.load(given.run)
    views, labels = features_of(run, given.folder, given.views)
    features, to_learn = views[0], views.mean(axis=0)
    plain = (to_learn, features)
    space = Space(run.files.arrays())
    whitened = (space.whiten(to_learn), space.whiten(features))
    classifiers: dict[str, tuple[Classifier, tuple[np.ndarray, np.ndarray]]] = {
        "cosine to class means": (cosine, plain),
        "nearest class mean": (nearest, plain),
        "ridge": (ridge, plain),
        "logistic regression": (logistic, plain),
        "discriminant, the run's covariance": (nearest, whitened),
        "cosine, the run's covariance": (cosine, whitened),
        "ridge, the run's covariance": (ridge, whitened),
        "logistic, the run's covariance": (logistic, whitened),
    }
    cases = [(way, shot) for way in given.way for shot in given.shot]
    print(f"| classifier | {' | '.join(f'{way}-way {shot}-shot' for way, shot in cases)} |\n{'| --- ' * (len(cases) + 1)}|")
    for name in given.only or classifiers:
        classifier, seen = classifiers[name]
        cells = []
        for way, shot in cases:
            generator = np.random.default_rng(0)
            scores = [episode(generator, seen, labels, way, shot, given.query, classifier) for _ in range(given.episodes)]
            cells.append(f"{np.mean(scores):.4f} ± {1.96 * np.std(scores) / len(scores) ** 0.5:.4f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def features_of(run: Any, folder: Path, views: int) -> tuple[np.ndarray, np.ndarray]:
    """The features (views, n, d) of every picture in class folders, and their classes (n,)."""
    trunk = keras.Model(run.model.inputs, run.model.layers[-2].input)
    files = [str(file) for kind in sorted(folder.iterdir()) for file in sorted(kind.iterdir())]
    kinds = [Path(file).parent.name for file in files]
    parts = [
        [trunk.predict_on_batch(np.asarray(frame(part.arrays[0].astype("float32"), 0, view))) for view in range(views)]
        for part in ahead.parts(run.input, files)
    ]
    return np.concatenate(parts, axis=1), np.unique(kinds, return_inverse=True)[1]


def episode(
    generator: np.random.Generator,
    features: tuple[np.ndarray, np.ndarray],
    labels: np.ndarray,
    way: int,
    shot: int,
    query: int,
    classify: Classifier,
) -> float:  # fmt: skip
    """The accuracy in one episode; of the features, the first are learnt from, and the others judged by."""
    learn, judge = [], []
    for number in generator.choice(labels.max() + 1, way, replace=False):
        rows = generator.permutation(np.flatnonzero(labels == number))[: shot + query]
        learn.append(rows[:shot])
        judge.append(rows[shot:])
    given = np.repeat(np.arange(way), shot)
    truth = np.repeat(np.arange(way), [len(rows) for rows in judge])
    return float((classify(features[0][np.concatenate(learn)], given, features[1][np.concatenate(judge)]) == truth).mean())


def means(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([x[y == number].mean(axis=0) for number in range(y.max() + 1)])


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-9)


def cosine(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> np.ndarray:
    return (unit(q) @ unit(means(x, y)).T).argmax(1)


def nearest(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> np.ndarray:
    m = means(x, y)
    return (q @ m.T - (m**2).sum(axis=1) / 2).argmax(1)


def ridge(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> np.ndarray:
    """On unit vectors, with a penalty of 1, in the dual."""
    x, q = unit(x), unit(q)
    duals = np.linalg.solve(x @ x.T + np.eye(len(x)), np.eye(y.max() + 1)[y])
    return (q @ x.T @ duals).argmax(1)


def logistic(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> np.ndarray:
    return (unit(q) @ support.logistic(unit(x), np.eye(y.max() + 1)[y])).argmax(1)


class Space:
    """The space in which the run's own classes are round: by the shrunk covariance that its classifier has."""

    def __init__(self, memory: dict[str, np.ndarray]):
        from tlapp_plugins.shared.discriminant import covariance

        scaling, within = covariance(memory["gram"], memory["sums"], float(memory["shrinkage"]))
        self._scaling, self._root = scaling, np.linalg.cholesky(np.linalg.inv(within))

    def whiten(self, x: np.ndarray) -> np.ndarray:
        return ((x - self._scaling.mean) / self._scaling.scale @ self._root).astype("float32")


if __name__ == "__main__":
    main()
