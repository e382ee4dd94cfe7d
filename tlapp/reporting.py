"""The reporters of a run, told beside whoever listens; one that fails is told no more, and the run goes on."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tlapp import registry
from tlapp.contracts import EpochFacts, RunFacts, RunReporter, RunResult, UserError
from tlapp.engine.report import Reporter
from tlapp.engine.runs.folder import HISTORY, LOGS, PROBABILITIES, RunFolder
from tlapp.errors import PluginError
from tlapp.words import in_a_line


def made(names: Sequence[str]) -> dict[str, RunReporter]:
    """The reporters of these names, each checked before anything is read.

    Raises:
        UserError: there is none of a name, it is named twice, or lacks a package. PluginError: it is broken.
    """
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise UserError("names a reporter twice", twice[0], "log")
    reporters: dict[str, RunReporter] = {}
    for name in names:
        kind = registry.load("reporter", name)
        try:
            reporters[name] = kind()
            reporters[name].check()
        except UserError:
            raise
        except Exception as error:  # a stranger's code may raise anything
            raise PluginError(f"does not begin: {in_a_line(error)}", registry.plugin_name("reporter", name)) from error
    return reporters


@contextmanager
def logged(reporter: Reporter, names: Sequence[str]) -> Iterator[Reporter]:
    """The reporter, and with it those of these names, until the block ends: then they are told how the run ended.

    Raises:
        UserError, PluginError: as `made`.
    """
    if not names:
        yield reporter
        return
    both = Reporting(reporter, made(names))
    try:
        yield both
    except BaseException as error:
        both.stopped(in_a_line(error) or type(error).__name__)
        raise
    both.finished()


class Reporting:
    """A reporter that tells others too.

    Args:
        reporter: whoever listens anyway; it alone is told notes, data, outline and progress.
        others: by their names.
    """

    def __init__(self, reporter: Reporter, others: Mapping[str, RunReporter]):
        self._reporter, self._others = reporter, dict(others)
        self._files: RunFolder | None = None
        self._phases: dict[str, Mapping[str, Any]] = {}
        self._step = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)

    def outline(self, outline: Any) -> None:
        """As `Reporter.outline`; the phases' rates are kept."""
        self._phases = {phase.name: phase._asdict() for phase in outline.phases}
        self._reporter.outline(outline)

    def begun(self, folder: Path) -> None:
        """As `Reporter.begun`; of a race's runs, which share its folder, only the first is told."""
        self._reporter.begun(folder)
        if self._files is None:
            self._files = RunFolder(folder)
            self._step = _epochs(self._files)
            settings, plan = self._files.settings(), self._files.plan()
            self._each("begun", lambda name: RunFacts(folder, self._files.file(LOGS) / name, settings, plan, self._step))  # type: ignore[union-attr]

    def epoch(self, epoch: Any) -> bool:
        """As `Reporter.epoch`; whether one of the reporters asks the run to stop."""
        stop, self._step = self._reporter.epoch(epoch) is True, self._step + 1
        splits = (("train", epoch.terms), ("val", epoch.validation), ("target", epoch.target))
        metrics = {f"{split}/{name}": float(value) for split, values in splits for name, value in values.items()}
        phase = self._phases.get(epoch.phase, {})
        rate, rates = phase.get("learning_rate"), phase.get("stages") or {}
        facts = EpochFacts(self._step, epoch.phase, epoch.epoch, metrics, bool(epoch.best), rate, rates)
        asking = [name for name, answer in self._each("epoch", lambda name: facts).items() if answer is True]
        for name in asking:
            self._reporter.note(
                f"{name} asks the run to stop: phase {epoch.phase} ends, and those after it have one epoch at most"
            )
        return stop or bool(asking)

    def finished(self) -> None:
        """Tell the reporters what the run came to."""
        if self._files is None:
            return
        metrics, labels = self._files.metrics(), self._files.labels()
        result = RunResult(self._files.path, metrics, labels, _confusion(self._files, len(labels)))
        self._each("finished", lambda name: result)

    def stopped(self, reason: str) -> None:
        """Tell them that it ended without a result."""
        if self._files is not None:
            self._each("stopped", lambda name: reason)

    def _each(self, method: str, facts: Callable[[str], Any]) -> dict[str, Any]:
        """Call a method of every reporter; one that fails is told no more."""
        answers = {}
        for name, other in [*self._others.items()]:
            try:
                answers[name] = getattr(other, method)(facts(name))
            except Exception as error:  # a stranger's code may raise anything, and no log is worth a run
                del self._others[name]
                plugin = registry.plugin_name("reporter", name)
                self._reporter.note(f"{plugin} failed in {method}(), and is told no more: {in_a_line(error)}")
        return answers


def _epochs(files: RunFolder) -> int:
    """How many epochs a run's history holds."""
    if not files.has(HISTORY):
        return 0
    with open(files.file(HISTORY), encoding="utf-8", newline="") as file:
        return len({(row["phase"], row["epoch"]) for row in csv.DictReader(file)})


def _confusion(files: RunFolder, classes: int) -> list[list[int]] | None:
    """Counts by true class and answer, of test or else of val; None where labels are no classes, or nothing was judged."""
    import numpy as np

    if not files.has(PROBABILITIES):
        return None
    kept = files.arrays(PROBABILITIES)
    name = next((split for split in ("test", "val") if split in kept), "")
    if not name or (labels := kept[f"{name}_labels"]).ndim != 1 or labels.dtype.kind not in "iu":
        return None
    cells = labels.astype(int) * classes + kept[name].argmax(1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).tolist()
