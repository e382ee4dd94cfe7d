"""The run folder: written as the run goes, complete when metrics.json is there."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tlapp.engine.runs.history import Epoch
from tlapp.errors import UserError
from tlapp.words import in_a_line

ROOT = Path("saved_models")
HISTORY = ("phase", "epoch", "split", "name", "value")
SPLITS = ("path", "label", "split")
ANY_NAME = "surrogateescape"
"""How names of files that are not UTF-8 are written: as their bytes."""


class Record:
    """Writes one run folder."""

    def __init__(self, path: str | None, plugin: str, resume: bool = False):
        self.folder = Path(path) if path else _fresh(plugin)
        self._plugin, self._named, self._resumes = plugin, bool(path), resume
        if resume:
            self._must_be_unfinished()
        else:
            self._must_be_free()

    @property
    def state(self) -> Path:
        """The checkpoint."""
        return self.folder / "checkpoints" / "state.npz"

    def _must_be_free(self) -> None:
        if self.folder.exists() and not self._is_free():
            raise UserError("already exists; name a folder that does not exist or is empty", self.folder, option="run")

    def _is_free(self) -> bool:
        """Whether the folder holds no more than what a run left that was killed while it made it."""
        return self.folder.is_dir() and all(path.name == ".settings.yaml.tmp" for path in self.folder.iterdir())

    def _must_be_unfinished(self) -> None:
        if not (self.folder / "settings.yaml").is_file():
            raise UserError("is no run; a run's folder holds settings.yaml", self.folder, option="resume")
        if (self.folder / "metrics.json").exists():
            raise UserError("this run is finished; its result is in metrics.json", self.folder, option="resume")

    def begin(
        self, settings: Mapping[str, Any], outline: Mapping[str, Any], labels: Sequence[str], splits: Iterable[Sequence[str]]
    ) -> None:
        """Make the folder and write what is known before training.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            self._claim()
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror or error}", self.folder, option="run") from error
        self.write("settings.yaml", yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True))
        self.write("plan.json", json.dumps(outline, indent=1))
        self.write("labels.txt", "".join(f"{label}\n" for label in labels))
        self.write("splits.csv", _table(SPLITS, splits))  # the last: with it, the run is begun

    def _claim(self) -> None:
        """Make the folder, unless a run that loaded at the same time has made it: then one of another name, or none."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        while not self._named:
            try:
                return self.folder.mkdir()
            except FileExistsError:
                self.folder = _fresh(self._plugin)
        self.folder.mkdir(exist_ok=True)
        if not self._resumes:
            self._must_be_free()

    @property
    def begun(self) -> bool:
        """Whether `begin` came to its end."""
        return (self.folder / "splits.csv").is_file()

    def resume(self, splits: Iterable[Sequence[str]]) -> None:
        """Go on with a run that was begun.

        Raises:
            UserError: the pictures are not those that it was begun with.
        """
        if (self.folder / "splits.csv").read_text(encoding="utf-8", errors=ANY_NAME) != _table(SPLITS, splits):
            raise UserError("the pictures are no longer those in its splits.csv; train anew", self.folder, option="resume")

    def history(self, epochs: Iterable[Epoch]) -> None:
        """Write history.csv anew: phase, epoch, split, name, value."""
        self.write("history.csv", _table(HISTORY, (row for epoch in epochs for row in _rows(epoch))))

    def epoch(self, epoch: Epoch) -> None:
        """Add an epoch to history.csv."""
        path = self.folder / "history.csv"
        text = _table(HISTORY, _rows(epoch))
        with self._written(path), open(path, "a", newline="", encoding="utf-8") as file:
            file.write(text.partition("\n")[2] if path.stat().st_size else text)

    def model(self, model: Any, name: str = "model.keras") -> Path:
        """Write a Keras model, whole or not at all."""
        path = self.folder / name
        aside = path.with_name(f".{path.name}.tmp.keras")
        with self._written(path, aside):
            path.parent.mkdir(parents=True, exist_ok=True)
            model.save(aside)
            _settle(aside)
            os.replace(aside, path)
        return path

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write metrics.json, the mark of a finished run."""
        self.write("metrics.json", json.dumps(metrics, indent=1))

    def write(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all."""
        aside = self.folder / f".{name}.tmp"
        with self._written(self.folder / name, aside):
            with open(aside, "w", encoding="utf-8", newline="", errors=ANY_NAME) as file:
                file.write(text)
            _settle(aside)
            os.replace(aside, self.folder / name)

    @contextmanager
    def _written(self, path: Path, aside: Path | None = None) -> Iterator[None]:
        """Turn what goes wrong while a file is written into a UserError; what was written aside is removed."""
        try:
            yield
        except (OSError, RuntimeError) as error:  # h5py raises RuntimeError where the disk is full
            if aside is not None:
                aside.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or in_a_line(error)
            advice = "; once that is mended, the run can be resumed" if self.begun else ""
            fault = UserError(f"{path}: cannot be written: {reason}{advice}")
            fault.resumable = self.folder if self.begun else None
            raise fault from error


def _settle(path: Path) -> None:
    """Wait until a file is on the disk, so that a loss of power cannot leave its name without its content."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _rows(epoch: Epoch) -> list[tuple[Any, ...]]:
    return [
        (epoch.phase, epoch.epoch, split, name, repr(value))
        for split, values in (("train", epoch.terms), ("val", epoch.validation), ("target", epoch.target))
        for name, value in values.items()
    ]


def _fresh(plugin: str) -> Path:
    """A folder under saved_models/ that does not exist yet."""
    base = ROOT / f"{plugin}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path
