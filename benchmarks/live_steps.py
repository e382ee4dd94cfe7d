"""How many pictures a second a step of `full` trains: tlapp's engine, Keras's own and PyTorch's, in turns.

    python benchmarks/live_steps.py DATA [--rounds 3] [--size 224] [--precision float32] [--torch PYTHON]

DATA as --data of tlapp train, of at least 320 pictures. EfficientNet-Lite0 with batch norm frozen, batches of 32, AdamW,
pictures in memory; steps alone, without reading, judging or the first step, which traces. Keras's own is `train_on_batch` of the
same network. PYTHON has torch (pytorch_full.py). Prints each one's median over the rounds, and the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STEPS, BATCH = 8, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--precision", default="float32", help="of tlapp's steps")
    parser.add_argument("--torch", help="a Python that has torch")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(keras_rate(given.size) if given.one == "Keras" else tlapp_rate(given.data, given.size, given.precision)))
        return
    rates: dict[str, list[float]] = {}
    for _ in range(given.rounds):
        for name in ("tlapp", "Keras"):
            how = ["--size", str(given.size), "--precision", given.precision]
            command = [sys.executable, __file__, given.data, *how, "--one", name]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rates.setdefault(name, []).append(json.loads(said.splitlines()[-1]))
        if given.torch:
            command = [given.torch, str(Path(__file__).with_name("pytorch_full.py")), str(STEPS), "--quick"]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for name, rate in re.findall(r"(\w+): ([0-9.]+) pictures", said):
                rates.setdefault(f"PyTorch, {name}", []).append(float(rate))
    print("| engine | pictures a second |\n| --- | --- |")
    for name, found in rates.items():
        print(f"| {name} | {statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f}) |")


def tlapp_rate(data: str, size: int, precision: str) -> float:
    """Of the engine's own steps within a run."""
    import tlapp
    from tlapp.engine.training.steps import Steps

    spent: list[float] = []
    train = Steps.train

    def timed(self: Steps, blocks: Any) -> Any:
        began = time.perf_counter()
        sums = train(self, blocks)
        spent.append((time.perf_counter() - began) / len(next(iter(blocks.values())).weight))
        return sums

    Steps.train = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        tlapp.train(
            plugin="full", data=data, warmup=0, epochs=2, image_size=size, report="off", run=f"{folder}/run", precision=precision
        )
    return BATCH / statistics.median(spent[1:])


def keras_rate(size: int) -> float:
    """Of Keras's `train_on_batch`."""
    import keras
    import numpy as np

    from tlapp.backbones.keras_cv import KerasCV

    graph = KerasCV().load("efficientnet-lite0", image_size=size).graph
    for layer in graph.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    model = keras.Sequential([graph, keras.layers.Dense(10, activation="softmax")])
    model.compile(keras.optimizers.AdamW(1e-4), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (BATCH, size, size, 3)).astype("float32"), rng.integers(0, 10, BATCH)
    spent = []
    for _ in range(STEPS + 1):
        began = time.perf_counter()
        model.train_on_batch(pictures, labels)
        spent.append(time.perf_counter() - began)
    return BATCH / statistics.median(spent[1:])


if __name__ == "__main__":
    main()
