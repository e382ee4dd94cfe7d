"""Which epoch of a phase is best kept: accuracy on test of its first weights, of the lowest val loss, of its last, of its best.

    python benchmarks/kept_epoch.py DATA STRATEGY [STRATEGY ...] [--seeds 2] [--set key=value ...]

DATA as --data of tlapp train. After each epoch val and test are answered; what test says is looked at here alone. Each phase goes
on from the weights of the lowest loss on val of the one before, for all rules alike.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from functools import partial
from typing import Any

import numpy as np

import tlapp
from tlapp.engine.advice.calibration import calibrated_losses
from tlapp.engine.network.predict import predictor
from tlapp.engine.training.feeds import Streams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("strategies", nargs="+")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--set", nargs="+", default=[])
    given = parser.parse_args()
    options = dict(each.split("=", 1) for each in given.set)
    print("| strategy | phase | epochs | begins with | lowest loss | last | best of all | loss on test, lowest | last |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for strategy in given.strategies:
        found: dict[str, list[list[float]]] = {}
        for seed in range(given.seeds):
            for phase, answers in recorded(given.data, strategy, seed, options).items():
                found.setdefault(phase, []).append(row(answers))
        for phase, rows in found.items():
            count, *accuracies, lowest, last = (statistics.mean(column) for column in zip(*rows, strict=True))
            shown = [f"{count:.0f}", *(f"{each:.3f}" for each in (*accuracies, lowest, last))]
            print(f"| `{strategy}` | {phase} | {' | '.join(shown)} |", flush=True)


def recorded(data: str, strategy: str, seed: int, options: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What a run's net answered before and after each epoch: phase -> epochs -> val or test -> (answers, labels)."""
    found: dict[str, list[dict[str, Any]]] = {}
    judge = Streams.judge

    def watched(self: Streams, net: Any, cut: Any, phase: Any, validates: bool, predicts: Any = None) -> Any:
        line = judge(self, net, cut, phase, validates, predicts)
        predict = (predicts or partial(predictor, net))(self.last_layer())

        def both(epoch: int) -> Any:
            streams = {name: self.dataset.streams[name] for name in ("val", "test")}
            answers = {
                name: (np.asarray(predict(self.remembered.source(cut, self._rows(name)), len(stream))), np.asarray(stream.labels))
                for name, stream in streams.items()
            }
            found.setdefault(phase.name, []).append(answers)
            return line(epoch)

        return both

    Streams.judge = watched  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            tlapp.train(plugin=strategy, data=data, seed=seed, patience=1000, run=f"{folder}/run", report="off", **options)
    finally:
        Streams.judge = judge  # type: ignore[method-assign]
    return found


def row(epochs: list[dict[str, Any]]) -> list[float]:
    """Epochs, test accuracy of the first, of the lowest loss on val, of the last, of the best; calibrated test losses of two."""
    val, test = ([each[name] for each in epochs] for name in ("val", "test"))
    losses = [float(-np.log(np.clip(answers[np.arange(len(labels)), labels], 1e-9, 1)).mean()) for answers, labels in val]
    right = [float((answers.argmax(1) == labels).mean()) for answers, labels in test]
    lowest = int(np.argmin(losses))
    calibrated = [float(calibrated_losses(*test[place]).mean()) for place in (lowest, -1)]
    return [len(epochs) - 1, right[0], right[lowest], right[-1], max(right), *calibrated]


if __name__ == "__main__":
    main()
