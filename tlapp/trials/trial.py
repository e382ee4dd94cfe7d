"""One trial, and what carries trials out: a process of its own on this machine, or a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlapp.engine.runs.folder import METRICS, SETTINGS, SPLITS, RunFolder
from tlapp.errors import UserError
from tlapp.settings import resolve
from tlapp.trials import OWNED

LOOK_SECONDS = 0.2
STOP_SECONDS = 60.0
"""How long a stopped trial may take to save where it is."""


UNASKED = {"report": "off"}
"""Settings of a trial that does not say otherwise: a report takes time, and `tlapp report` writes that of any run later."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Settings, and the folder of the run that they are to give."""

    name: str
    settings: Mapping[str, Any]
    place: Path

    @property
    def run(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(self.place)

    @property
    def done(self) -> bool:
        """Whether the run is there and complete."""
        return self.run.has(METRICS)

    @property
    def log(self) -> Path:
        """What the run printed."""
        return self.place.with_name(f"{self.place.name}.log")

    def must_fit(self) -> None:
        """Refuse a run in the folder that is of other settings.

        Raises:
            UserError: it is; names the first that differs.
        """
        if not self.run.has(SETTINGS):
            return
        settings = resolve(self.settings)
        if settings.strategy.rungs():  # the run is that of the race's winner
            return
        ours, theirs = settings.repeatable(), self.run.settings()
        # A run has its backbone's absolute name; a report is no part of what is compared.
        for key in sorted(ours.keys() & theirs.keys() - {"backbone", *UNASKED, *settings.later}):
            if theirs[key] != ours[key]:
                words = f"was begun with {key}={theirs[key]}, now {ours[key]}; name another folder"
                raise UserError(f"{self.place}: {words}", option="output")

    def begun(self) -> bool:
        """Whether the run can be resumed; what is left of one that cannot be is removed."""
        if self.run.has(SETTINGS) and self.run.has(SPLITS):
            return True
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.parent.mkdir(parents=True, exist_ok=True)
        return False


class Workers(ABC):
    """Carries trials out.

    Attributes:
        count: how many at a time.
    """

    count = 1

    @abstractmethod
    def start(self, trial: Trial) -> None:
        """Begin a trial, or go on with it."""

    @abstractmethod
    def ended(self) -> Iterator[tuple[Trial, str]]:
        """The trials that ended since it was asked last, and why each failed, "" where it did not. Does not wait.

        Raises:
            KeyboardInterrupt: a trial was stopped by the user.
        """

    @abstractmethod
    def stop(self, trial: Trial) -> None:
        """Stop a trial that is under way; it counts as ended, and can be resumed."""

    @abstractmethod
    def close(self) -> None:
        """Stop all that is under way."""


class Processes(Workers):
    """One trial at a time, in a process of its own on this machine."""

    def __init__(self) -> None:
        self._running: dict[Trial, subprocess.Popen[bytes]] = {}

    def start(self, trial: Trial) -> None:
        settings = {**trial.settings, "run": str(trial.place)}
        if trial.begun():
            words = ["--resume", str(trial.place)]
        else:
            words = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items() if value is not None]
        with open(trial.log, "a", encoding="utf-8") as log:
            self._running[trial] = subprocess.Popen(  # noqa: S603 - this interpreter, on our own program
                [sys.executable, "-m", "tlapp", "train", *words], stdin=subprocess.PIPE, stdout=log, stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1", OWNED: "1"},
                start_new_session=True,  # Ctrl-C is for this process, which stops them: a second one would break their saving off
            )  # fmt: skip

    def ended(self) -> Iterator[tuple[Trial, str]]:
        for trial, child in [*self._running.items()]:
            code = child.poll()
            if code is None:
                continue
            _forget(self._running.pop(trial))
            if code in (130, -2):
                raise KeyboardInterrupt
            yield trial, why(trial, code) if code else ""

    def stop(self, trial: Trial) -> None:
        child = self._running.pop(trial)
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        _forget(child)

    def close(self) -> None:
        for trial in [*self._running]:
            self.stop(trial)


def _forget(child: subprocess.Popen[bytes]) -> None:
    """Close what tells a process, while it is open, that this one is there."""
    assert child.stdin is not None, "it was asked for"
    child.stdin.close()


def why(trial: Trial, code: int) -> str:
    """Why a process failed, by the last of what it printed."""
    said = [line for line in trial.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = next((line for line in reversed(said) if line.startswith("tlapp: ")), said[-1] if said else "")
    return f"failed with exit code {code}: {last.removeprefix('tlapp: ')} (see {trial.log})"


def carry_out(trials: Iterable[Trial], workers: Workers, begins: Callable[[Trial], None]) -> Iterator[tuple[Trial, str]]:
    """Carry trials out, as many at a time as there are workers; yields each as it ends, and why it failed, or "".

    Args:
        begins: told of each trial before it starts, and of one that is there already.
    """
    waiting, under_way = deque(trials), 0
    while waiting or under_way:
        while waiting and (waiting[0].done or under_way < workers.count):
            trial = waiting.popleft()
            begins(trial)
            if trial.done:
                yield trial, ""
            else:
                workers.start(trial)
                under_way += 1
        for trial, sentence in workers.ended():
            under_way -= 1
            yield trial, sentence
        if under_way:
            time.sleep(LOOK_SECONDS)
