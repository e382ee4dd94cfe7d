"""A race: a strategy's rungs, each a run of its own, the cheapest first; val decides what is tried next, and what is kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tlapp.contracts import Rung
from tlapp.engine.advice.calibration import calibrated_losses, surely_better
from tlapp.engine.report import Reporter
from tlapp.engine.run import Interrupted
from tlapp.engine.runs.folder import METRICS, PROBABILITIES, SETTINGS, SPLITS, RunFolder
from tlapp.engine.runs.record import Record
from tlapp.errors import TlappError, UserError
from tlapp.settings import HEAD, Settings, resolve

FOLDER = "race"
"""In the run's folder, where the rungs' runs lie until the race is over."""
Train = Callable[[Settings, Reporter, bool, Sequence[Settings]], Any]
"""Carry out the settings of one run: (settings, reporter, whether it resumes, settings of runs that may follow)."""


class OutOfTime(KeyboardInterrupt):
    """The race's time is over."""


class Hopeless(KeyboardInterrupt):
    """A run is not below the loss that it had to be below."""


class Watch:
    """Passes on what a reporter is told, and raises OutOfTime once a time has come, or Hopeless.

    Args:
        end: the time.
        marks: number of epochs of the last phase -> what the loss on val must then be below.
    """

    def __init__(self, reporter: Reporter, end: float | None, marks: Mapping[int, float] = MappingProxyType({})):
        self._reporter, self._end, self._marks, self._last = reporter, end, marks, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)

    def begun(self, folder: Path) -> None:
        """As `Reporter.begun`, of the race's folder."""
        self._reporter.begun(folder.parent.parent)

    def progress(self, task: str, done: int, of: int) -> None:
        """As `Reporter.progress`."""
        self._reporter.progress(task, done, of)
        self._look()

    def outline(self, outline: Any) -> None:
        """As `Reporter.outline`."""
        self._last = outline.phases[-1].name
        self._reporter.outline(outline)

    def epoch(self, epoch: Any) -> bool | None:
        """As `Reporter.epoch`."""
        stop = self._reporter.epoch(epoch)
        self._look()
        if self._marks and epoch.phase == self._last and epoch.epoch in self._marks:
            loss, below = epoch.validation.get("loss", -np.inf), self._marks[epoch.epoch]
            if not loss < below:  # as where it is no number
                raise Hopeless(f"after {epoch.epoch} epochs its loss on val is {loss:.4f}, and not below {below:.4f}")
        return stop

    def _look(self) -> None:
        late = self._end is not None and time.monotonic() > self._end
        if late and threading.current_thread() is threading.main_thread():
            raise OutOfTime


@dataclass
class Race:
    """A race under way.

    Args:
        settings: of the run as it was asked for; its strategy has rungs.
        train: carries out one run.
        seconds: after which no more is tried; None for no limit.
    """

    settings: Settings
    reporter: Reporter
    train: Train
    seconds: float | None = None
    resume: bool = False
    began: float = field(default_factory=time.monotonic)
    tried: dict[str, dict[str, Any]] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    best: str = ""
    _losses: dict[str, np.ndarray] = field(default_factory=dict)
    _examples: int = 0
    _refused: set[str] = field(default_factory=set)
    _replaced: set[str] = field(default_factory=set)

    def run(self, rungs: Sequence[Rung]) -> Path:
        """Climb; the folder of the best run, which is then that of the race."""
        options = self.settings.options
        folder = Path(options.run or "") if self.resume else Record(options.run, options.plugin).folder
        files = RunFolder(folder)
        if not files.has(SETTINGS):
            folder.mkdir(parents=True, exist_ok=True)
            files.write_settings(self.settings.repeatable())
        asked = [each for each in rungs if each.adapts == bool(options.target)]
        self._replaced = {each.instead for each in asked}
        for number, rung in enumerate(asked):
            if (rung.needs and self.best not in rung.needs) or (rung.instead and rung.instead not in self._refused):
                continue
            if rung.least > self._examples:
                self.reporter.note(
                    f"{rung.name} is not tried with fewer than {rung.least:,} training examples: here are {self._examples:,}"
                )
                continue
            if not self._climb(rung, folder, asked[number + 1 :]):
                break
        return self._keep(folder)

    def _climb(self, rung: Rung, folder: Path, later: Sequence[Rung]) -> bool:
        """Carry a rung out; False where time is over."""
        place = folder / FOLDER / rung.name
        files = RunFolder(place)
        if not files.has(METRICS):
            end = self.began + self.seconds if self.seconds and self.tried else None
            if end is not None and time.monotonic() > end:
                self.reporter.note(f"time is over: {rung.name} and what would follow was not tried")
                return False
            self.reporter.note(f"{rung.name}: {' '.join(f'{key}={value}' for key, value in self._options(rung).items())}")
            begun = files.has(SETTINGS) and files.has(SPLITS)
            if not begun:
                shutil.rmtree(place, ignore_errors=True)
            started = time.monotonic()
            watch = Watch(self.reporter, end, self._marks(rung))
            try:
                self.train(self._settings(rung, place), watch, begun, self._ahead(later, folder))
            except TlappError as error:
                shutil.rmtree(place, ignore_errors=True)
                if not self.tried and rung.name not in self._replaced:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
                self._refused.add(rung.name)
                self.reporter.note(f"{rung.name} cannot be tried: {error}")
                return True
            except KeyboardInterrupt as stop:
                if isinstance(cause := stop.__cause__ or stop, Hopeless):
                    shutil.rmtree(place, ignore_errors=True)
                    self.left[rung.name] = time.monotonic() - started
                    self.reporter.note(f"{rung.name} is left: {cause}")
                    return True
                if not isinstance(cause, OutOfTime):
                    raise Interrupted(getattr(stop, "path", None), folder) from stop
                self.reporter.note(f"time is over: {rung.name} was not finished")
                return False
        self._judge(rung, files)
        return True

    def _marks(self, rung: Rung) -> dict[int, float]:
        """What a rung on probation must come below: of the best's loss, and in half the epochs of a standard error more."""
        if not (rung.probation and self.best) or rung.adapts:
            return {}
        best = self._losses[self.best]
        mean, error = float(best.mean()), float(best.std(ddof=1) / len(best) ** 0.5) if len(best) > 1 else 0.0
        return {(rung.probation + 1) // 2: mean + error, rung.probation: mean}

    def _options(self, rung: Rung) -> dict[str, Any]:
        known = {} if "backbone" in rung.options or not self.best else {"backbone": self.tried[self.best]["options"]["backbone"]}
        return {"plugin": rung.plugin, "backbone": self.settings.options.backbone, **known, **rung.options}

    def _settings(self, rung: Rung, place: Path) -> Settings:
        shared = {
            name: value for name, value in self.settings.flat().items()
            if name in type(self.settings.options).model_fields or name.startswith(HEAD)
        }  # fmt: skip
        return resolve({**shared, **self._options(rung), "run": str(place)}, resume=True)

    def _ahead(self, later: Sequence[Rung], folder: Path) -> list[Settings]:
        """The settings of the rungs that follow on the same backbone, as far as is known; none where others are still to come."""
        found, sure = [], [rung for rung in later if not rung.instead]
        for rung in sure if not any("backbone" in each.options for each in sure) else ():
            with contextlib.suppress(TlappError):  # which is told when it is that rung's turn
                found.append(self._settings(rung, folder / FOLDER / rung.name))
        return found

    def _judge(self, rung: Rung, files: RunFolder) -> None:
        """Take a run's figures: it is the best so far where its loss on val is lower, by more than chance where that is known."""
        metrics, kept = files.metrics(), files.arrays(PROBABILITIES)
        self._examples = metrics["images"]["train"]
        adapted = metrics.get("adaptation") if rung.adapts else None
        one = not adapted and kept["val_labels"].dtype.kind == "i" and kept["val"].shape[1] > 1
        if adapted:
            losses = np.array([-adapted["adapted"]["score"]])
        elif one:
            losses = calibrated_losses(kept["val"], kept["val_labels"])
        else:
            losses = np.array([metrics["val"]["loss"]])
        by = {"target_score": -float(losses[0])} if adapted else {"val_loss": float(losses.mean())}
        self.tried[rung.name] = {
            "options": self._options(rung), **by, "val_accuracy": metrics["val"].get("accuracy"),
            "seconds": metrics["seconds"]["total"],
        }  # fmt: skip
        self._losses[rung.name] = losses
        if not self.best or _better(losses, self._losses[self.best]):
            self.best = rung.name

    def _keep(self, folder: Path) -> Path:
        """Make the best run's folder that of the race; what was tried stands in its metrics."""
        if not self.best:
            raise UserError("there is nothing to try", self.settings.options.plugin, option="plugin")
        best = RunFolder(folder / FOLDER / self.best)
        if "race" not in (metrics := best.metrics()):  # as where a race was stopped right after this
            runs = [RunFolder(folder / FOLDER / name).metrics() for name in self.tried]
            spent = {part: sum(each["seconds"].get(part, 0.0) for each in runs) for part in metrics["seconds"]}
            peak = max(each["peak_memory_mb"] for each in runs)
            spent["total"] += sum(self.left.values())
            said = {"kept": self.best, "tried": self.tried, "left": self.left}
            best.write_metrics({**metrics, "seconds": spent, "peak_memory_mb": peak, "race": said})
        last = (SETTINGS, METRICS)  # a race that is stopped here can be resumed until all others are there
        for path in sorted(best.path.iterdir(), key=lambda path: (path.name in last, path.name == METRICS)):
            os.replace(path, folder / path.name)
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        return folder


def _better(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether losses, of each example or one of all, are lower; the cheaper of equals is kept (docs/results.md, "The race")."""
    return surely_better(ours, theirs) if len(ours) > 1 else bool(ours[0] < theirs[0])
