"""The run folder: written as the run goes, complete when metrics.json is there."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tlapp.engine.fit import Epoch
from tlapp.errors import UserError

ROOT = Path("saved_models")


class Record:
    """Writes one run folder."""

    def __init__(self, path: str | None, plugin: str):
        self.folder = Path(path) if path else _fresh(plugin)
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise UserError(f"--run {self.folder}: is there already; name a folder that does not exist or is empty")
        self._terms: list[str] | None = None

    def begin(
        self, settings: Mapping[str, Any], outline: Mapping[str, Any], labels: Sequence[str], splits: Iterable[Sequence[str]]
    ) -> None:
        """Make the folder and write what is known before training.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.write("settings.yaml", yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True))
            self.write("plan.json", json.dumps(outline, indent=1))
            self.write("labels.txt", "".join(f"{label}\n" for label in labels))
            with open(self.folder / "splits.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("path", "label", "split"), *splits])
        except OSError as error:
            raise UserError(f"--run {self.folder}: cannot be written: {error.strerror or error}") from error

    def epoch(self, epoch: Epoch) -> None:
        """Add a line to history.csv: phase, epoch, term, split, value."""
        path = self.folder / "history.csv"
        new = not path.exists()
        with open(path, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(("phase", "epoch", "split", "name", "value"))
            for split, values in (("train", epoch.terms), ("val", epoch.validation)):
                writer.writerows((epoch.phase, epoch.epoch, split, name, repr(value)) for name, value in values.items())

    def model(self, model: Any, name: str = "model.keras") -> Path:
        """Write a Keras model, whole or not at all."""
        path = self.folder / name
        aside = path.with_name(f".{path.name}.tmp.keras")
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(aside)
        os.replace(aside, path)
        return path

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write metrics.json, the mark of a finished run."""
        self.write("metrics.json", json.dumps(metrics, indent=1))

    def write(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all."""
        aside = self.folder / f".{name}.tmp"
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, self.folder / name)


def _fresh(plugin: str) -> Path:
    """A folder under saved_models/ that does not exist yet."""
    base = ROOT / f"{plugin}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path
