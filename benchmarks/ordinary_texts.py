"""The ordinary way with texts: Keras's fit on a frozen BERT, as its guide on transfer learning does with pictures.

    tlapp train --plugin freeze --data TABLE --epochs 10 --patience 1000 --run RUN
    python benchmarks/ordinary_texts.py RUN EPOCHS

The same network, weights, split, tokens and length as the run's (RUN/splits.csv, RUN/input.json); batches of 32, padded to that
length. Prints one JSON object: test accuracy, seconds of the whole process, peak memory in MB.
"""

from __future__ import annotations

import csv
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

BEGAN = time.perf_counter()


def main(run: Path, epochs: int) -> None:
    import keras

    from tlapp.backbones.bert import Bert
    from tlapp.engine.inputs.wordpiece import tokenizer

    keras.utils.set_random_seed(0)
    loaded = Bert().load("minilm")
    _, read_by = json.loads((run / "input.json").read_text())
    length = read_by["max_length"]
    facts = loaded.facts.input
    with open(run / "splits.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    text = next(iter(rows[0]))
    classes = sorted({row["label"] for row in rows})
    data = {}
    for split in ("train", "val", "test"):
        part = [row for row in rows if row["split"] == split]
        ids = np.zeros((len(part), length), np.int32)
        found = np.asarray(tokenizer(facts.vocabulary, facts.lowercase, facts.strip_accents).ids([row[text] for row in part]))
        ids[:, : found.shape[1]] = found[:, :length]
        data[split] = ids, np.array([classes.index(row["label"]) for row in part])

    base = loaded.graph
    base.trainable = False
    ids = keras.Input((length,), dtype="int32")
    outputs = keras.layers.Dense(len(classes))(keras.layers.Dropout(0.2)(base(ids, training=False)))
    model = keras.Model(ids, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=False)
    model.fit(*data["train"], validation_data=data["val"], batch_size=32, epochs=epochs, verbose=0)
    accuracy = model.evaluate(*data["test"], batch_size=32, verbose=0, return_dict=True)["accuracy"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {"accuracy": float(accuracy), "seconds": time.perf_counter() - BEGAN, "length": length, "peak_memory_mb": peak}
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
