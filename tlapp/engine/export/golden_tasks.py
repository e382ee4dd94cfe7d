"""Golden vectors of a file with an output for each of several runs: what it answered when written, and whether it still does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts.input_export import Arrays, InputExport
from tlapp.engine.export import golden
from tlapp.engine.export.facts import GoldenTasks, checked
from tlapp.engine.export.formats.artifact import blocks, threads, timed
from tlapp.engine.export.interpreter import classifier
from tlapp.errors import UserError
from tlapp.tensorflow_import import silenced
from tlapp.words import in_a_line

FILE = "golden-tasks.json"


class Vectors(NamedTuple):
    """Some examples of one task.

    Attributes:
        answers, expected: what the file and the run say of them, (n, classes).
        unit: how large a difference between answers counts as 1.
    """

    examples: Arrays
    answers: np.ndarray
    expected: np.ndarray
    unit: float = 1.0

    @property
    def difference(self) -> float:
        """The largest between the file's answers and the run's."""
        return float(np.abs(self.answers - self.expected).max())


def write(folder: Path, facts: Mapping[str, Any], input: InputExport, tasks: Mapping[str, Vectors]) -> None:
    """Write golden-tasks.json: each task's examples, what the file and its run say of them, and the digests of every file.

    Args:
        facts: artifact and quantize.
    """
    written = {}
    for name, each in tasks.items():
        (folder / golden.FOLDER / name).mkdir(parents=True)
        vectors = []
        for number, (answer, expected) in enumerate(zip(each.answers, each.expected, strict=True)):
            arrays = [each.examples[key][number] for key in input.names]
            path = input.save(arrays, folder / golden.FOLDER / name / str(number))
            vectors.append({
                "file": path.relative_to(folder).as_posix(), "probabilities": answer.tolist(), "run": expected.tolist()
            })  # fmt: skip
        tolerance = each.unit * golden.TOLERANCE[facts["quantize"] != "none"]
        written[name] = {"largest_difference_from_run": each.difference, "tolerance": tolerance, "vectors": vectors}
    whole = {**facts, "input": input.facts(), "sha256": golden.digests(folder), "tasks": written}
    (folder / FILE).write_text(json.dumps(whole, indent=1), encoding="utf-8")


def folder_of(path: Path) -> Path | None:
    """The folder of several tasks that a path means: it, or what it lies in; None where it is none."""
    return next((folder for folder in (path, path.parent) if (folder / FILE).is_file()), None)


def read(folder: Path) -> dict[str, Any]:
    """golden-tasks.json.

    Raises:
        UserError: it was altered, so that it no longer says what is needed; or it names a file outside the folder.
    """
    facts = checked((folder / FILE).read_bytes(), GoldenTasks, folder / FILE)
    names = [*facts["sha256"], facts["artifact"], *(each["file"] for task in facts["tasks"].values() for each in task["vectors"])]
    golden.must_lie_in(folder, names, folder / FILE)
    return facts


def verify(folder: Path) -> dict[str, Any]:
    """Check that each task's output answers as it did when the file was written.

    Returns:
        As `tlapp.engine.export.verify.verify`, with the largest difference of any task.

    Raises:
        UserError: a file was changed or is missing, or an output answers otherwise.
    """
    facts = read(folder)
    golden.check_files(folder, facts["sha256"])
    path, differences, count = folder / facts["artifact"], {}, 0
    for name, task in facts["tasks"].items():
        examples = golden.examples(folder, {"input": facts["input"], "vectors": task["vectors"]})
        expected = np.array([each["probabilities"] for each in task["vectors"]])
        try:
            with silenced():
                ask = classifier(str(path), threads(), output=name)
                answers = np.stack([ask(block) for block in blocks(examples, 1)])
                latency = timed(partial(ask, next(blocks(examples, 1))))
        except Exception as error:  # the runtime raises whatever it likes for a file that it does not know
            raise UserError(f"{path}: {name}: does not run, so that it is damaged or altered: {in_a_line(error)}") from error
        if answers.shape != expected.shape or not (difference := float(np.abs(answers - expected).max())) <= task["tolerance"]:
            raise UserError(
                f"{path}: {name}: an answer differs from what it was when the file was written by more than the "
                f"{task['tolerance']:g} that is due to another machine"
            )
        differences[name], count = difference, count + len(expected)
    return {
        "format": "tflite", "quantize": facts["quantize"], "images": count,
        "noun": facts["input"].get("noun", "picture"), "largest_difference": max(differences.values()),
        "tolerance": max(task["tolerance"] for task in facts["tasks"].values()), "latency": latency._asdict(),
        "tasks": differences,
    }  # fmt: skip
