"""Answers as a file: a CSV, which the option data reads again, or JSON lines; written as they come, and whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from tlapp.engine.data.classes import SEPARATOR
from tlapp.engine.data.reading import Bad
from tlapp.engine.runs.folder import ANY_NAME, replacing
from tlapp.engine.runs.predictor import Prediction, Predictor
from tlapp.errors import UserError

SUFFIXES = (".csv", ".jsonl")
_HEADER = re.compile(r"[^,]+,label(,probability(,label_\d+,probability_\d+)*)?(,known)?,error\n?")
_LONGEST = 1 << 24
"""Characters of a first line: an answer of many labels is long, and a file that has no lines may be longer."""


class Writer(Protocol):
    """Writes one answer after the other."""

    def write(self, answer: Prediction | Bad) -> None:
        """Add an answer, or an example that could not be read."""
        ...


class JsonLines:
    """An object a line, as the JSON of predict has it; of an example that could not be read, "reason" in place of "labels"."""

    def __init__(self, file: IO[str]):
        self._file = file

    def write(self, answer: Prediction | Bad) -> None:
        self._file.write(json.dumps(to_json(answer)) + "\n")


class Table:
    """A CSV of path,label,probability, of `top` labels and probabilities where that is more than one, and error; of numbers
    path,label,error. Of a model that says unknown there is a column known, true or false.

    Paths are relative to the CSV's folder, as in any CSV for the option data, or absolute. Several labels of an example are one
    cell, "cat;dog".
    """

    def __init__(self, file: IO[str], predictor: Predictor, top: int | None):
        self._rows, self._top = csv.writer(file, lineterminator="\n"), top
        self._folder, self._joins = os.path.dirname(os.path.abspath(file.name)), predictor.labelling.kind == "many" and not top
        self._count, self._input = min(top or 1, len(predictor.labels)), predictor.input
        self._is_number = predictor.labelling.scale is not None
        more = [f"{name}_{number}" for number in range(2, self._count + 1) for name in ("label", "probability")]
        self._cells = ["label"] if self._is_number else ["label", "probability", *more]
        self._knows = predictor.says_unknown
        self._cells += ["known"] if self._knows else []
        self._rows.writerow([self._input.column, *self._cells, "error"])

    def write(self, answer: Prediction | Bad) -> None:
        if isinstance(answer, Bad):
            self._rows.writerow([self._place(answer.source), *[""] * len(self._cells), answer.reason])
            return
        if self._is_number:
            self._rows.writerow([self._place(answer.file), f"{answer.value:.6g}", ""])
            return
        labels, probabilities = [name for name, _ in answer.labels], [f"{value:.6f}" for _, value in answer.labels]
        if self._joins:
            labels, probabilities = [SEPARATOR.join(labels)], [SEPARATOR.join(probabilities)]
        cells = [cell for pair in zip(labels, probabilities, strict=True) for cell in pair]
        cells += [str(bool(answer.known)).lower()] if self._knows else []
        self._rows.writerow([self._place(answer.file), *cells, ""])

    def _place(self, source: str) -> str:
        """A path as it is read again: relative ones are relative to the CSV."""
        if self._input.content(source) is not None or os.getcwd() == self._folder:
            return source
        return os.path.abspath(source)


@contextmanager
def answer_file(path: Path, predictor: Predictor, top: int | None) -> Iterator[Writer]:
    """What writes answers to a file of this name, which has them when the block has ended without an error.

    Raises:
        UserError: the name has another suffix, or the file cannot be written.
    """
    check_name(path)
    try:
        with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="", errors=ANY_NAME) as file:
            yield JsonLines(file) if path.suffix == ".jsonl" else Table(file, predictor, top)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror or error}", path, "output") from error


def check_name(path: Path) -> None:
    """Raise a UserError unless a file of this name can be written: over earlier answers, but over nothing else."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"expected a file name that ends in {' or '.join(SUFFIXES)}", path, "output")
    if path.is_dir():
        raise UserError("is a folder; name a file", path, "output")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}", path, "output")
    if os.path.lexists(path) and not _is_ours(path):
        raise UserError("already exists, and was not made by tlapp predict; choose another name, or remove it", path, "output")


def _is_ours(path: Path) -> bool:
    """Whether a file holds earlier answers, or nothing, by its first line."""
    try:
        if not path.is_file():
            return False
        with open(path, encoding="utf-8", errors=ANY_NAME) as file:
            line = file.readline(_LONGEST)
        return not line or (_is_answer(line) if path.suffix == ".jsonl" else bool(_HEADER.fullmatch(line)))
    except OSError:
        return False


def _is_answer(line: str) -> bool:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and set(content) - {"known"} in ({"file", "labels"}, {"file", "reason"})


def to_json(answer: Prediction | Bad) -> dict[str, Any]:
    """An answer as JSON has it."""
    if isinstance(answer, Bad):
        return {"file": answer.source, "reason": answer.reason}
    known = {} if answer.known is None else {"known": answer.known}
    return {"file": answer.file, "labels": dict(answer.labels), **known}
