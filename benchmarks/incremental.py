"""Classes that arrive in lots: teach, progressive, fine-tuning on the newest lot, and joint training, as a table.

    python benchmarks/incremental.py OUT DATA [--lots 5] [--classes 20] [--seeds 3] [--set key=value ...]

DATA holds class folders, or train, val and test of them. Each seed draws the order in which classes arrive. After each lot, every
method answers for the test pictures of all classes so far, not told of which lot a picture is; only joint training sees earlier
lots' pictures again. Fine-tuning goes on from the network before, and keeps the head of each lot as it was trained; it and
`progressive` answer with the most probable class of all heads. OUT is filled with runs.

Average accuracy is the mean over the lots, after each, on all classes so far. Forgetting is how far the accuracy of a lot's own
classes has fallen from its best to the end, mean over all lots but the last (Chaudhry et al. 2018, https://arxiv.org/abs/1801.10112).
"told" is the accuracy at the end of who is told of which lot a picture is.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from domains import pairs

import tlapp

Answer = Callable[[np.ndarray], np.ndarray]
"""Pictures as stored (n, size, size, 3) -> probabilities (n, classes of the lots so far)."""
SPLITS = ("train", "val", "test")


class Lots(NamedTuple):
    """The lots of a seed: class names, and the rows (path, label, split) of their pictures."""

    names: list[list[str]]
    rows: list[tuple[str, str, str]]

    def table(self, path: Path, lots: Sequence[int], splits: Sequence[str] = SPLITS) -> str:
        """A CSV of some lots' pictures, for --data."""
        classes = {name for lot in lots for name in self.names[lot]}
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "label", "split"))
            writer.writerows(row for row in self.rows if row[1] in classes and row[2] in splits)
        return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--lots", type=int, default=5)
    parser.add_argument("--classes", type=int, help="take only so many, drawn by the seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[*METHODS])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    found: dict[str, list[tuple[float, float, float, float]]] = {method: [] for method in given.only}
    for seed in range(given.seeds):
        lots = drawn(given.data, seed, given.lots, given.classes)
        for method in given.only:
            out = given.out / f"{method}-{seed}"
            found[method].append(judged(lots, METHODS[method](lots, out, {**pairs(given.set), "seed": seed}), out))
            print(f"seed {seed}, {method}: {found[method][-1]}", flush=True)
    print("| | average accuracy | at the end | forgetting | told, at the end |\n| --- | --- | --- | --- | --- |")
    for method, rows in found.items():
        print(f"| {method} | " + " | ".join(f"{statistics.mean(column):.3f}" for column in zip(*rows, strict=True)) + " |")


def drawn(data: Path, seed: int, lots: int, count: int | None) -> Lots:
    """The lots of a seed; data without splits are divided 60, 20 and 20 % of each class."""
    order = random.Random(seed)
    rows = [(str(path.resolve()), path.parent.name, path.parent.parent.name) for path in sorted(data.glob("*/*/*"))]
    if not rows:
        for folder in sorted(each for each in data.iterdir() if each.is_dir()):
            files = sorted(folder.iterdir())
            order.shuffle(files)
            cuts = (0.6 * len(files), 0.8 * len(files))
            rows += [(str(path.resolve()), folder.name, SPLITS[sum(n >= cut for cut in cuts)]) for n, path in enumerate(files)]
    classes = sorted({label for _, label, _ in rows})
    order.shuffle(classes)
    classes = classes[:count]
    return Lots([classes[n * len(classes) // lots : (n + 1) * len(classes) // lots] for n in range(lots)], rows)


def judged(lots: Lots, answers: Sequence[tuple[Any, Answer]], out: Path) -> tuple[float, float, float, float]:
    """Average accuracy, that at the end, forgetting, and that at the end of who is told the lot.

    Args:
        answers: after each lot, a run that reads pictures, and what answers, in the order of classes of `lots`.
    """
    accuracies, own = [], []
    for last, (run, answer) in enumerate(answers):
        seen = [name for lot in lots.names[: last + 1] for name in lot]
        parts, right, told = 0, [], []
        for names in lots.names[: last + 1]:
            rows = [row for row in lots.rows if row[1] in names and row[2] == "test"]
            truth = np.array([seen.index(label) for _, label, _ in rows])
            output = answer(pictures(run, [path for path, _, _ in rows]))
            right.append(output.argmax(1) == truth)
            told.append(parts + output[:, parts : parts + len(names)].argmax(1) == truth)
            parts += len(names)
        accuracies.append(float(np.concatenate(right).mean()))
        own.append([float(each.mean()) for each in right])
    falls = [max(row[lot] for row in own[lot:]) - own[-1][lot] for lot in range(len(own) - 1)]
    return statistics.mean(accuracies), accuracies[-1], statistics.mean(falls), float(np.concatenate(told).mean())


def pictures(run: Any, files: Sequence[str]) -> np.ndarray:
    """The pictures as the run's model takes them."""
    from tlapp.engine.inputs import ahead

    return np.concatenate([part.arrays[0] for part in ahead.parts(run.input, files)])


def in_order(run: Any, lots: Lots, last: int) -> Answer:
    """A run of all classes so far, its outputs in the order of `lots`."""
    columns = [run.labels.index(name) for lot in lots.names[: last + 1] for name in lot]
    return lambda examples: run.probabilities(examples)[:, columns]


def together(answers: Sequence[Answer]) -> Answer:
    """The outputs of several heads, side by side."""
    return lambda examples: np.hstack([answer(examples) for answer in answers])


def teach(lots: Lots, out: Path, settings: dict[str, Any]) -> list[tuple[Any, Answer]]:
    """A run of the first lot, taught every class that comes."""
    import shutil

    data, found = lots.table(out / "0.csv", [0]), []
    tlapp.train(data=data, plugin="feature-extract", classifier="lda", run=str(out / "0"), **settings)
    for lot, names in enumerate(lots.names):
        if lot:
            shutil.copytree(out / str(lot - 1), out / str(lot))
            for name in names:
                tlapp.teach(
                    out / str(lot), name, [path for path, label, split in lots.rows if label == name and split == "train"]
                )
        run = tlapp.load(out / str(lot))
        found.append((run, in_order(run, lots, lot)))
    return found


def progressive(lots: Lots, out: Path, settings: dict[str, Any]) -> list[tuple[Any, Answer]]:
    """A column and a head a lot."""
    runs: list[Any] = []
    for lot in range(len(lots.names)):
        earlier = {"earlier": str(out / str(lot - 1))} if lot else {}
        data = lots.table(out / f"{lot}.csv", [lot])
        runs.append(tlapp.train(data=data, plugin="progressive", run=str(out / str(lot)), **earlier, **settings))
    own = [alone(run, lots, lot) for lot, run in enumerate(runs)]
    return [(run, together(own[: lot + 1])) for lot, run in enumerate(runs)]


def newest(lots: Lots, out: Path, settings: dict[str, Any]) -> list[tuple[Any, Answer]]:
    """One network, fine-tuned on each lot from what it was after the lot before."""
    import keras

    found, heads = [], []
    for lot in range(len(lots.names)):
        start = {"backbone": f"file:{out / str(lot - 1)}"} if lot else {}
        data = lots.table(out / f"{lot}.csv", [lot])
        run = tlapp.train(data=data, plugin="partial", run=str(out / str(lot)), **{**settings, **start})
        columns = [run.labels.index(name) for name in lots.names[lot]]
        features = keras.Model(run.model.inputs, run.model.layers[-2].input)
        heads.append((keras.Sequential(run.model.layers[-2:]), columns))

        def answer(examples: np.ndarray, features: Any = features, heads: Any = tuple(heads)) -> np.ndarray:
            known = features.predict(examples.astype("float32"), batch_size=64, verbose=0)
            return np.hstack([np.asarray(head(known))[:, columns] for head, columns in heads])

        found.append((run, answer))
    return found


def joint(lots: Lots, out: Path, settings: dict[str, Any], **how: Any) -> list[tuple[Any, Answer]]:
    """A network for all classes so far, trained anew on all their pictures."""
    found = []
    for lot in range(len(lots.names)):
        data = lots.table(out / f"{lot}.csv", range(lot + 1))
        run = tlapp.train(data=data, **{"plugin": "partial", **how}, run=str(out / str(lot)), **settings)
        found.append((run, in_order(run, lots, lot)))
    return found


def alone(run: Any, lots: Lots, lot: int) -> Answer:
    """A run of one lot."""
    columns = [run.labels.index(name) for name in lots.names[lot]]
    return lambda examples: run.probabilities(examples)[:, columns]


METHODS = {
    "teach": teach,
    "progressive": progressive,
    "newest": newest,
    "joint": joint,
    "joint-lda": lambda lots, out, settings: joint(lots, out, settings, plugin="feature-extract", classifier="lda"),
}

if __name__ == "__main__":
    main()
