"""Several runs in one TFLite file: what their networks share stands in it once; an output a run, each checked as an export."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.export import golden, golden_tasks
from tlapp.engine.export.check import Check, check
from tlapp.engine.export.converter import convert
from tlapp.engine.export.export import aside, machine, size_of, versions
from tlapp.engine.export.facts import TASKS
from tlapp.engine.export.formats.artifact import Answers, blocks, threads, timed
from tlapp.engine.export.formats.tflite import FILE
from tlapp.engine.export.interpreter import classifier
from tlapp.engine.export.reference import Reference, load, reference, spread
from tlapp.engine.network.join import joined
from tlapp.engine.report import Reporter
from tlapp.engine.runs.folder import label_lines
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError
from tlapp.tensorflow_import import silenced


def write(
    runs: Mapping[str, SavedRun], models: Mapping[str, Any], quantize: str, max_drop: float, output: Path, reporter: Reporter
) -> dict[str, Any]:
    """Write a folder with model.tflite, the labels of each run, tasks.json, and golden-tasks.json for `tlapp verify`.

    Args:
        runs: by the names of the outputs.
        models: the same, each the run's model, or one that answers the same and shares more with the others.
        quantize: as of `tlapp.engine.export.converter.convert`: "none", "float16" or "dynamic".
        max_drop: what each run may lose of its accuracy on its test.

    Returns:
        What tasks.json holds, and "folder".

    Raises:
        UserError: the runs take different examples, one does not pass its check, or the folder is taken.
    """
    if output.exists():
        raise UserError("already exists; remove it, or name another", output, option="output")
    _check_inputs(runs)
    first = next(iter(runs.values()))
    with aside(output) as folder, tempfile.TemporaryDirectory() as scratch:
        with silenced():
            content = convert(joined(models), quantize, None, first.input.export)
        for name, inside in first.input.export.files().items():
            (folder / name).write_bytes(inside)
        path = folder / FILE
        path.write_bytes(content)
        tasks, vectors = {}, {}
        for name, run in runs.items():
            stream = load(run, None, ("test",), 0, reporter).streams["test"]
            each = reference(run, stream, Path(scratch))
            if run.says_unknown:
                reporter.note(f"{name} says what is unknown; its output in this file does not")
                each = each._replace(truth=replace(each.truth, known=None))
            answers = _answers(path, name, run, each)
            tasks[name] = _task(folder, name, run, _checked(path, name, each, answers, quantize, max_drop))
            vectors[name] = _vectors(run, each, answers)
        report = {
            "artifact": FILE, "bytes": size_of(path), "quantize": quantize, "input": first.input.export.facts(), "tasks": tasks,
            "versions": versions(), "machine": machine(),
        }  # fmt: skip
        (folder / TASKS).write_text(json.dumps(report, indent=1), encoding="utf-8")
        golden_tasks.write(folder, {"artifact": FILE, "quantize": quantize}, first.input.export, vectors)
        golden_tasks.verify(folder)
        os.rename(folder, output)
    return {**report, "folder": str(output)}


def _check_inputs(runs: Mapping[str, SavedRun]) -> None:
    name, *others = runs
    facts = {each: run.input.export.facts() for each, run in runs.items()}
    for other in others:
        if facts[other] != facts[name]:
            gaps = [key for key in facts[name] if facts[other].get(key) != facts[name][key]]
            found = ", ".join(f"{key} {facts[other].get(key)} (not {facts[name][key]})" for key in gaps)
            raise UserError(f"{other} takes other {runs[other].input.noun}s than {name}: {found}")


def _answers(path: Path, name: str, run: SavedRun, each: Reference) -> Answers:
    """What one output says of its run's test."""
    ask = classifier(str(path), threads(), output=name)
    answers = np.stack([ask(block) for block in blocks(each.examples, 1)])
    first = next(blocks(each.examples, 1))
    return Answers(answers, tuple(run.labels), timed(lambda: ask(first)))


def _checked(path: Path, name: str, each: Reference, answers: Answers, quantize: str, max_drop: float) -> Check:
    """The check of one output on its run's test.

    Raises:
        UserError: it fails.
    """
    result = check(each.truth, answers, size_of(path), quantize != "none", max_drop)
    if result.fault:
        raise UserError(f"{name}: {result.fault}; nothing was kept; option quantize=float16 or none is nearer to the run")
    return result


def _vectors(run: SavedRun, each: Reference, answers: Answers) -> golden_tasks.Vectors:
    """A few of the run's test examples, with the answers of the file and of the run."""
    truth = each.truth
    rows = np.sort(spread(run.labelling.groups(truth.labels), golden.COUNT))
    examples = {name: array[rows] for name, array in each.examples.items()}
    unit = run.labelling.unit(truth.probabilities)
    return golden_tasks.Vectors(examples, answers.probabilities[rows], truth.probabilities[rows], unit)


def _task(folder: Path, name: str, run: SavedRun, result: Check) -> dict[str, Any]:
    file = f"labels-{name}.txt"
    (folder / file).write_bytes(label_lines(run.labels).encode())
    return {"labels": file, "classes": list(run.labels), "labelling": run.labelling.kind, "check": result.to_json()}
