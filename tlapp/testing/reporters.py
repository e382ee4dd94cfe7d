"""The rules that are reporters' own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tlapp.contracts import EpochFacts, RunFacts, RunResult, UserError
from tlapp.engine.runs.folder import METRICS
from tlapp.testing.subject import Broken, Subject, Untried

SETTINGS = {"plugin": "freeze", "data": "pictures", "seed": 0, "run": None, "log": []}
SPLIT = {"accuracy": 0.5, "loss": 0.9, "n": 4, "classes": {"a": {"n": 2, "recall": 0.5}}}
RESULT = {"val": SPLIT, "test": SPLIT, "target": None, "calibration": {"temperature": 1.0, "test": None}}


def told(subject: Subject) -> None:
    """It takes a run's begin, epochs and result, of any labels and with streams missing, and answers True, False or None."""
    with _working_in(subject.folder):
        for number, confusion in enumerate(([[2, 1], [0, 3]], None)):
            folder = _run(subject.folder / f"told-{number}")
            reporter = _made(subject)
            reporter.begun(RunFacts(folder, folder / "logs", SETTINGS, {"phases": []}))
            for step, metrics in enumerate(({}, {"train/loss": 0.5}, {"train/loss": 0.4, "val/loss": float("nan")}), 1):
                answer = reporter.epoch(
                    EpochFacts(step, "head", step - 1, metrics, step == 2, None if confusion is None else 0.1, {})
                )
                if answer not in (True, False, None):
                    raise Broken(f"epoch() must answer True, False or None. Received: {answer!r}")
            reporter.finished(RunResult(folder, RESULT if confusion else {"val": None, "test": None}, ("a", "b"), confusion))


def stops(subject: Subject) -> None:
    """It takes the end of a run without a result, and the same run again when it is resumed."""
    with _working_in(subject.folder):
        folder = _run(subject.folder / "stops")
        for epochs in (0, 2):
            reporter = _made(subject)
            reporter.begun(RunFacts(folder, folder / "logs", SETTINGS, {"phases": []}, epochs))
            reporter.epoch(EpochFacts(epochs + 1, "head", 1, {"train/loss": 0.5}, True, 0.1, {"top": 1.0}))
            reporter.stopped("Ctrl-C")


def _made(subject: Subject):  # type: ignore[no-untyped-def]
    reporter = subject.kind()
    try:
        reporter.check()
    except UserError as error:
        raise Untried(f"it cannot work here: {error}") from error
    return reporter


def _run(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / METRICS).write_text("{}", encoding="utf-8")
    return folder


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """What a reporter writes to the working folder is written there."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
