"""All that a run's folder tells of the run, read for its report; what an older run lacks is empty."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.data.classes import SEPARATOR
from tlapp.engine.runs import folder as names
from tlapp.engine.runs.folder import RunFolder
from tlapp.errors import UserError

EXPORT = "export.json"
"""What an export says of itself and of its check."""


class Answer(NamedTuple):
    """A line of predictions.csv; the probabilities are None where the answer is a number."""

    source: str
    split: str
    label: str
    answer: str
    probability: float | None
    label_probability: float | None

    @property
    def right(self) -> bool:
        """Whether the answer is what is true."""
        return self.label == self.answer


class RunFacts(NamedTuple):
    """What a run's folder holds.

    Attributes:
        answers: to val and test, the surest mistakes first.
        history: dicts of phase, epoch, split, name and value.
        data: a dict an example that was listed, as data.csv has it, or at least label and split.
        problems: how many of each kind there are.
        exports: name -> what its export.json holds.
        probabilities: "test" -> (n, classes), and "test_labels"; the same of val.
    """

    folder: Path
    settings: Mapping[str, Any]
    plan: Mapping[str, Any]
    metrics: Mapping[str, Any]
    labels: Sequence[str]
    answers: Sequence[Answer]
    history: Sequence[Mapping[str, Any]]
    data: Sequence[Mapping[str, str]]
    problems: Mapping[str, int]
    exports: Mapping[str, Mapping[str, Any]]
    probabilities: Mapping[str, np.ndarray]

    @property
    def kind(self) -> str:
        """What a label is: "one" class, "many" or a "number"."""
        return str(self.plan.get("labelling", "one"))

    @property
    def noun(self) -> str:
        """What an example is called."""
        return str(self.plan.get("noun", "picture"))

    @property
    def judged(self) -> str:
        """The split that the run is judged by: test, or val where there is no test; "" where there is neither."""
        return next((name for name in ("test", "val") if self.metrics.get(name)), "")

    @property
    def judging(self) -> list[Answer]:
        """The answers to that split."""
        return [answer for answer in self.answers if answer.split == self.judged]

    def names_of(self, label: str) -> list[str]:
        """The classes that a label names."""
        return [name for name in label.split(SEPARATOR) if name] if self.kind == "many" else [label]


def run_facts(files: RunFolder, column: str = "path") -> RunFacts:
    """Read a finished run's folder; `column` holds the examples in its tables.

    Raises:
        UserError: the run did not finish, or a file of it cannot be read.
    """
    probabilities: dict[str, np.ndarray] = {}
    if files.has(names.PROBABILITIES):
        probabilities = files.arrays(names.PROBABILITIES)
    return RunFacts(
        files.path, files.settings(), files.plan(), files.metrics(), files.labels(), _answers(files, column), _history(files),
        _table(files, names.DATA) or _table(files, names.SPLITS), _problems(files), _exports(files), probabilities,
    )  # fmt: skip


def _table(files: RunFolder, name: str) -> list[dict[str, str]]:
    return files.rows(name) if files.has(name) else []


def _answers(files: RunFolder, column: str) -> list[Answer]:
    return [
        Answer(
            row[column], row["split"], row["label"], row["predicted"], _number(row["probability"]),
            _number(row["label_probability"]),
        )
        for row in _table(files, names.PREDICTIONS)
    ]  # fmt: skip


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _history(files: RunFolder) -> list[dict[str, Any]]:
    rows = _table(files, names.HISTORY)
    return [{**row, "epoch": int(row["epoch"]), "value": float(row["value"])} for row in rows]


def _problems(files: RunFolder) -> dict[str, int]:
    """How many problems there are of each kind; a kind is what its sentence begins with."""
    kinds = [row["problem"].partition(":")[0] for row in _table(files, names.PROBLEMS)]
    return dict(Counter(kinds).most_common())


def _exports(files: RunFolder) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(files.file(names.EXPORTS).glob(f"*/{EXPORT}")):
        with contextlib.suppress(OSError, ValueError):  # what is no export is passed over
            found[path.parent.name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def check_finished(files: RunFolder) -> None:
    """Raise a UserError unless the folder holds a finished run."""
    if not files.has(names.SETTINGS):
        raise UserError(f"{files.path}: is not a run: a run's folder holds {names.SETTINGS}")
    if not files.has(names.METRICS):
        raise UserError(f"{files.path}: this run did not finish (it has no {names.METRICS}), so that it has no result yet")
