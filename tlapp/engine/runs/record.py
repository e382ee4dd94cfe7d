"""Writes a run's folder as the run goes, and that of a merged one; it is complete when it holds the metrics."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.runs import folder as names
from tlapp.engine.runs.delta import Delta, content
from tlapp.engine.runs.folder import RunFolder
from tlapp.engine.runs.history import Epoch
from tlapp.engine.runs.lock import RunLock
from tlapp.errors import UserError
from tlapp.words import in_a_line

ROOT = Path("saved_models")
COPIED = (names.INPUT, names.SPLITS, names.DATA, names.PROBLEMS, names.HISTORY, names.PREDICTIONS, names.UNKNOWN)
"""What else of a run goes with a merged model."""


class Record:
    """Writes one run folder, and holds its lock: from the start where it resumes, else from `begin`.

    Raises:
        UserError: the folder is taken, or lies where none can be made; or there is nothing in it to go on with, or another
            process trains it.
    """

    def __init__(self, path: str | None, plugin: str, resume: bool = False):
        self._files = RunFolder(Path(path) if path else _fresh(plugin))
        self._plugin, self._named, self._resumes, self._lock = plugin, bool(path), resume, RunLock()
        if resume:
            self._must_be_unfinished()
            self._lock.acquire(self.folder)
            self._must_be_unfinished()  # the process that had the lock may have finished the run
        else:
            self._must_be_free()
            self._must_be_possible()

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return self._files.path

    @property
    def state(self) -> Path:
        """The checkpoint."""
        return self._files.file(names.STATE)

    @property
    def begun(self) -> bool:
        """Whether `begin` came to its end."""
        return self._files.has(names.SPLITS)

    def release(self) -> None:
        """Give the folder's lock back, so that another process may go on with the run."""
        self._lock.release()

    def begin(
        self, settings: Mapping[str, Any], outline: Mapping[str, Any], labels: Sequence[str],
        splits: Iterable[Sequence[str]], column: str = "path",
        data: Iterable[Sequence[Any]] = (), problems: Iterable[Sequence[str]] = (), packed_input: str = "",
    ) -> None:  # fmt: skip
        """Make the folder and write what is known before training.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            self._claim()
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror or error}", self.folder, option="run") from error
        self._write(names.SETTINGS, lambda: self._files.write_settings(settings))
        self._write(names.PLAN, lambda: self._files.write_plan(outline))
        self._write(names.LABELS, lambda: self._files.write_labels(labels))
        if packed_input:
            self._write(names.INPUT, lambda: self._files.write_input(packed_input))
        self._write(names.DATA, lambda: self._files.write_data(data, column))
        self._write(names.PROBLEMS, lambda: self._files.write_problems(problems, column))
        self._write(names.SPLITS, lambda: self._files.write_splits(splits, column))  # the last: with it, the run is begun

    def resume(self, splits: Iterable[Sequence[str]], column: str = "path") -> None:
        """Go on with a run that was begun.

        Raises:
            UserError: the examples are not those that it was begun with.
        """
        if not self._files.has_splits(splits, column):
            raise UserError(
                f"its data changed since it began (see {names.SPLITS}); start a new run", self.folder, option="resume"
            )

    def history(self, epochs: Iterable[Epoch]) -> None:
        """Write the history anew."""
        self._write(names.HISTORY, lambda: self._files.write_history(epochs))

    def epoch(self, epoch: Epoch) -> None:
        """Add an epoch to the history."""
        self._write(names.HISTORY, lambda: self._files.add_epoch(epoch))

    def model(self, model: Any, name: str = names.MODEL) -> Path:
        """Write a Keras model, whole or not at all; return its path."""
        self._write(name, lambda: self._files.write_model(model, name))
        return self._files.file(name)

    def delta(self, delta: Delta) -> None:
        """Write what the run changed of its backbone."""
        self._write(names.DELTA, lambda: self._files.write_delta(content(delta)))

    def arrays(self, arrays: Mapping[str, np.ndarray], name: str = names.MEMORY) -> None:
        """Write arrays, such as what the head's solver remembers of its examples."""
        self._write(name, lambda: self._files.write_arrays(arrays, name))

    def predictions(self, rows: Sequence[Sequence[Any]], column: str = "path") -> None:
        """Write the answers to the examples that the run is judged by."""
        self._write(names.PREDICTIONS, lambda: self._files.write_predictions(rows, column))

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write the metrics, the mark of a finished run, remove what only resuming needs, and give the folder's lock back."""
        self._write(names.METRICS, lambda: self._files.write_metrics(metrics))
        shutil.rmtree(self._files.file(names.CHECKPOINTS), ignore_errors=True)
        self._lock.remove()

    def _must_be_free(self) -> None:
        if self.folder.exists() and not self._files.is_empty:
            raise UserError("already exists; name a folder that does not exist or is empty", self.folder, option="run")

    def _must_be_possible(self) -> None:
        """Refuse before anything is read what `begin` could not make after it."""
        place = next(each for each in (self.folder, *self.folder.absolute().parents) if each.exists())
        fault = errno.ENOTDIR if not place.is_dir() else errno.EACCES if not os.access(place, os.W_OK | os.X_OK) else 0
        if fault:
            raise UserError(f"cannot be written: {os.strerror(fault)}: {place}", self.folder, option="run")

    def _must_be_unfinished(self) -> None:
        if not self._files.has(names.SETTINGS):
            raise UserError(f"is not a run: a run's folder holds {names.SETTINGS}", self.folder, option="resume")
        if self._files.has(names.METRICS):
            raise UserError(f"this run is finished; its result is in {names.METRICS}", self.folder, option="resume")

    def _claim(self) -> None:
        """Make the folder, unless a run that loaded at the same time has made it: then one of another name, or none."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        while not self._named:
            try:
                self.folder.mkdir()
                break
            except FileExistsError:
                self._files = RunFolder(_fresh(self._plugin))
        self.folder.mkdir(exist_ok=True)
        self._lock.acquire(self.folder, "run")
        if not self._resumes:
            self._must_be_free()

    def _write(self, name: str, write: Callable[[], Any]) -> None:
        """Write a file; what goes wrong is a UserError."""
        try:
            write()
        except (OSError, RuntimeError) as error:  # h5py raises RuntimeError where the disk is full
            reason = getattr(error, "strerror", None) or in_a_line(error)
            failure = UserError(f"{self._files.file(name)}: cannot be written: {reason}")
            failure.resumable = self.folder if self.begun else None
            raise failure from error


def write_merged(delta: Delta, model: Any, source: Path, folder: Path) -> None:
    """Write the folder of a run whose model was made of a delta; `source` is where the run's other files may lie.

    Raises:
        UserError: the folder is taken, or cannot be written.
    """
    if folder.exists():
        raise UserError("already exists; remove it, or name another", folder, option="output")
    facts, record = delta.facts, Record(str(folder), "")
    try:
        record.begin(facts.settings, facts.plan, facts.labels, ())
        for name in COPIED:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        record.model(model)
        record.delta(delta)
        record.finish(facts.metrics)
    finally:
        record.release()


def _fresh(plugin: str) -> Path:
    """A folder under saved_models/ that does not exist yet."""
    base = ROOT / f"{plugin}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path
