"""What teaching a run another class costs: seconds, the old classes' accuracy, and how well the new one is known, as a table.

    python benchmarks/teach.py OUT DATA NAME FOLDER [--shots 1 5 20] [--seeds 5] [--on-device] [--set key=value ...]

DATA as --data of tlapp train; FOLDER holds pictures of the class NAME that DATA has not. The first so many of them, in an order
that each seed draws, are taught to a run of feature-extract with classifier=lda; 200 others say how well it is known then.
OUT is filled with runs. Seconds are of `tlapp.teach` in a process that has imported TensorFlow. With --on-device, the same
pictures are also taught to a float32 TFLite file of the run, by its signature `learn`; a second table says what it knows then.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from domains import pairs

import tlapp

ON_DEVICE = (
    "| pictures | old classes after, taught on the device | difference to `teach`, mean | new class recognised | one lesson, ms |"
)
HEADER = "| pictures | old classes before | after | difference, mean | worst | new class recognised | seconds, median |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data")
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shots", nargs="*", type=int, default=[1, 5, 20])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    parser.add_argument("--on-device", action="store_true")
    given = parser.parse_args()
    phone: dict[int, list[tuple[float, float, float, float]]] = {shots: [] for shots in given.shots}
    rows: dict[int, list[tuple[float, float, float, float]]] = {shots: [] for shots in given.shots}
    for seed in range(given.seeds):
        run = given.out / f"seed-{seed}"
        tlapp.train(
            data=given.data, plugin="feature-extract", classifier="lda", seed=seed, run=str(run), **pairs(given.set)
        )  # fmt: skip
        files = sorted(given.folder.iterdir())
        random.Random(seed).shuffle(files)
        for shots in given.shots:
            copy = shutil.copytree(run, given.out / f"seed-{seed}-{shots}")
            began = time.perf_counter()
            taught = tlapp.teach(copy, given.name, files[:shots])
            seconds = time.perf_counter() - began
            answers = tlapp.load(copy).predict(files[-200:])
            known = statistics.mean(answer.label == given.name for answer in answers)
            rows[shots].append((taught.before, taught.after, known, seconds))
            if given.on_device:
                old, new, lesson = on_device(run, given.out / f"seed-{seed}-{shots}-phone", files[:shots], files[-200:])
                phone[shots].append((old, old - taught.after, new, lesson))
    print(f"{HEADER}\n{'| --- ' * 7}|")
    for shots, seen in rows.items():
        before, after, known, seconds = zip(*seen, strict=True)
        gaps = [b - a for a, b in zip(before, after, strict=True)]
        print(
            f"| {shots} | {statistics.mean(before):.3f} | {statistics.mean(after):.3f} | {statistics.mean(gaps):+.4f} | "
            f"{min(gaps):+.4f} | {statistics.mean(known):.3f} | {statistics.median(seconds):.1f} |"
        )
    if given.on_device:
        print(f"\n{ON_DEVICE}\n{'| --- ' * 5}|")
        for shots, measured in phone.items():
            after, gap, known, lesson = (statistics.mean(column) for column in zip(*measured, strict=True))
            print(f"| {shots} | {after:.3f} | {gap:+.4f} | {known:.3f} | {1000 * lesson:.1f} |")


def on_device(run: Path, output: Path, files: Sequence[Path], others: Sequence[Path]) -> tuple[float, float, float]:
    """Accuracy on the run's test and share of `others` recognised, after a TFLite file learnt `files`; seconds of a lesson."""
    from ai_edge_litert.interpreter import Interpreter

    from tlapp.engine.inputs import ahead

    saved = tlapp.load(run)
    report = tlapp.export(run, format="tflite", on_device=1, output=str(output))
    interpreter = Interpreter(model_path=f"{report['folder']}/model.tflite", num_threads=2)
    infer, learn = (interpreter.get_signature_runner(name) for name in ("infer", "learn"))

    def asked(paths: Sequence[Path]) -> list[dict[str, np.ndarray]]:
        parts = ahead.parts(saved.input, [str(path) for path in paths])
        return [infer(image=one[None].astype("float32")) for part in parts for one in part.arrays[0]]

    number, known = np.array([len(saved.labels)], np.int32), asked(files)
    began = time.perf_counter()
    for each in known:
        learn(features=each["features"], label=number)
    lesson = (time.perf_counter() - began) / len(files)
    rows = [row for row in saved.files.splits() if row["split"] == "test"]
    right = [
        saved.labels.index(row["label"]) == each["probabilities"].argmax()
        for row, each in zip(rows, asked([Path(row["path"]) for row in rows]), strict=True)
    ]
    recognised = [int(each["probabilities"].argmax()) == int(number[0]) for each in asked(others)]
    return float(np.mean(right)), float(np.mean(recognised)), lesson


if __name__ == "__main__":
    main()
