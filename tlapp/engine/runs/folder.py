"""The run folder: the names of what lies in it, and how each file is read and written. No other module spells these names."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import yaml

from tlapp.engine.runs.history import Epoch
from tlapp.errors import UserError
from tlapp.words import flag

if TYPE_CHECKING:  # importing it takes a while
    import numpy as np

SETTINGS, PLAN, LABELS, SPLITS = "settings.yaml", "plan.json", "labels.txt", "splits.csv"
HISTORY, METRICS, MODEL = "history.csv", "metrics.json", "model.keras"
PROBABILITIES = "probabilities.npz"
DELTA, MEMORY, TESTED, TAUGHT, UNKNOWN = "adapter.safetensors", "memory.npz", "test.npz", "taught", "unknown.npz"
PREDICTIONS, DATA, PROBLEMS, INPUT, REPORT = "predictions.csv", "data.csv", "problems.csv", "input.json", "report.html"
CHECKPOINTS, EXPORTS, FAST, LOGS, LOCK = "checkpoints", "export", "fast", "logs", ".lock"
BEST, INTERRUPTED, STATE = f"{CHECKPOINTS}/best.keras", f"{CHECKPOINTS}/interrupted.keras", f"{CHECKPOINTS}/state.npz"
ANY_NAME = "surrogateescape"
"""How names of files that are not UTF-8 are written and read: as their bytes."""
NEXT_LINE = "\x85"
"""A line end to YAML, which PyYAML does not read back unless it is escaped."""
HOW_TO_REPEAT = f"""# tlapp train {flag("config")} settings.yaml repeats this run in a new folder, from any working folder:
# paths are absolute, and the run's own folder, option run, is left out.
"""
_HISTORY_COLUMNS, _SPLITS_COLUMNS = ("phase", "epoch", "split", "name", "value"), ("label", "split")
_DATA_COLUMNS = ("split", "label", "bytes", "width", "height", "copies", "copy_group", "problem", "content")
_PROBLEMS_COLUMNS = ("problem", "other")
_PREDICTIONS_COLUMNS = ("split", "label", "predicted", "probability", "label_probability")
"""After the column of the examples, which is "path" for files."""


@dataclass(frozen=True)
class RunFolder:
    """One run folder, whether it exists or not."""

    path: Path

    def file(self, name: str) -> Path:
        """Where a file or folder of this name lies."""
        return self.path / name

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return self.file(name).is_file()

    @property
    def is_empty(self) -> bool:
        """Whether the folder holds no more than a run leaves that is killed while it makes the folder."""
        leftovers = {aside(self.file(SETTINGS)).name, LOCK}
        return self.path.is_dir() and all(path.name in leftovers for path in self.path.iterdir())

    def unfinished_model(self) -> Path | None:
        """The best model so far of a run that was stopped, the last one written; None where there is none."""
        written = [self.file(name) for name in (INTERRUPTED, BEST) if self.has(name)]
        return max(written, key=lambda path: path.stat().st_mtime) if written else None

    def settings(self) -> dict[str, Any]:
        """Every setting of the run, flat."""
        return yaml.safe_load(self._text(SETTINGS))

    def plan(self) -> dict[str, Any]:
        """What the run does, as its outline says; empty where there is no such file."""
        return json.loads(self._text(PLAN)) if self.has(PLAN) else {}

    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return read_labels(self.file(LABELS))

    def splits(self, column: str = "path") -> list[dict[str, str]]:
        """Which example is in which stream: a dict of path (or the cell), label and split a row.

        Raises:
            UserError: the file cannot be read, or is another table.
        """
        return self.rows(SPLITS, (column, *_SPLITS_COLUMNS))

    def contents(self, column: str = "path") -> dict[str, str]:
        """Example -> the digest of its arrays, as far as the run says it: runs of earlier versions do not."""
        try:
            rows = self.rows(DATA, (column, "content"))
        except UserError:
            return {}
        return {row[column]: row["content"] for row in rows if row["content"]}

    def has_splits(self, rows: Iterable[Sequence[str]], column: str = "path") -> bool:
        """Whether the file of splits holds exactly these rows."""
        return self._text(SPLITS) == "".join(_table((column, *_SPLITS_COLUMNS), rows))

    def input(self) -> str:
        """What reads the run's examples, packed; "" where the model or the backbone's provider says it."""
        return self._text(INPUT) if self.has(INPUT) else ""

    def metrics(self) -> dict[str, Any]:
        """The result of the run."""
        return json.loads(self._text(METRICS))

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the settings, whole or not at all; a comment says how to use them."""
        text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
        text = yaml.safe_dump(dict(settings), sort_keys=False) if NEXT_LINE in text else text
        self._write(SETTINGS, HOW_TO_REPEAT + text)

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Write the plan, whole or not at all."""
        self._write(PLAN, json.dumps(plan, indent=1))

    def write_labels(self, labels: Sequence[str]) -> None:
        """Write the class names, a line each, whole or not at all."""
        self._write(LABELS, label_lines(labels))

    def write_splits(self, rows: Iterable[Sequence[str]], column: str = "path") -> None:
        """Write rows of an example, its label and its split, whole or not at all; `column` is what the examples are called."""
        self._write(SPLITS, _table((column, *_SPLITS_COLUMNS), rows))

    def write_input(self, packed: str) -> None:
        """Write what reads the run's examples, whole or not at all."""
        self._write(INPUT, packed)

    def write_history(self, epochs: Iterable[Epoch]) -> None:
        """Write the history of these epochs, whole or not at all."""
        self._write(HISTORY, _table(_HISTORY_COLUMNS, (row for epoch in epochs for row in _rows(epoch))))

    def add_epoch(self, epoch: Epoch) -> None:
        """Add an epoch at the end of the history, without waiting until it is on the disk."""
        path, text = self.file(HISTORY), "".join(_table(_HISTORY_COLUMNS, _rows(epoch)))
        with open(path, "a", newline="", encoding="utf-8") as file:
            file.write(text.partition("\n")[2] if path.stat().st_size else text)

    def write_data(self, rows: Iterable[Sequence[Any]], column: str = "path") -> None:
        """Write a row for each example that was listed, whole or not at all; see `tlapp.engine.data.inventory.Listed`."""
        self._write(DATA, _table((column, *_DATA_COLUMNS), rows))

    def write_problems(self, rows: Iterable[Sequence[str]], column: str = "path") -> None:
        """Write rows of an example, what is wrong with it, and the other example where there is one, whole or not at all."""
        self._write(PROBLEMS, _table((column, *_PROBLEMS_COLUMNS), rows))

    def write_predictions(self, rows: Iterable[Sequence[Any]], column: str = "path") -> None:
        """Write rows of example, split, label, answer, and how probable answer and label are (or None), whole or not at all."""
        lines = [(*row[:4], *("" if each is None else f"{each:.6f}" for each in row[4:6])) for row in rows]
        self._write(PREDICTIONS, _table((column, *_PREDICTIONS_COLUMNS), lines))

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write the result, whole or not at all."""
        self._write(METRICS, json.dumps(metrics, indent=1))

    def write_delta(self, content: bytes) -> None:
        """Write what the run changed of its backbone, whole or not at all; see `tlapp.engine.runs.delta`."""
        with replacing(self.file(DELTA)) as temporary:
            temporary.write_bytes(content)

    def write_arrays(self, arrays: Mapping[str, np.ndarray], name: str = MEMORY) -> None:
        """Write arrays, such as what the head's solver remembers of its examples, whole or not at all."""
        import numpy as np

        with replacing(self.file(name), ".tmp.npz") as temporary:
            np.savez(temporary, **dict(arrays))  # type: ignore[arg-type]

    def arrays(self, name: str = MEMORY) -> dict[str, np.ndarray]:
        """What `write_arrays` wrote."""
        import numpy as np

        with np.load(self.file(name), allow_pickle=False) as arrays:
            return dict(arrays)

    def write_model(self, model: Any, name: str = MODEL) -> Path:
        """Write a Keras model, whole or not at all; return its path."""
        path = self.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, ".tmp.keras") as temporary:
            model.save(temporary)
        return path

    def rows(self, name: str, columns: Sequence[str] = ()) -> list[dict[str, str]]:
        """The rows of one of the tables. Raises a UserError where it cannot be read, or lacks one of the columns."""
        path = self.file(name)
        try:
            table = csv.DictReader(io.StringIO(self._text(name), newline=""), restval="")
            header, rows = table.fieldnames or (), list(table)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        except csv.Error as error:
            raise UserError(f"{path}: is not a CSV: {error}") from error
        if not set(columns) <= set(header):
            raise UserError(f"{path}: expected the columns {','.join(columns)}. Received: {','.join(header) or 'nothing'}")
        return rows

    def _text(self, name: str) -> str:
        with open(self.file(name), encoding="utf-8", errors=ANY_NAME, newline="") as file:
            return file.read()

    def _write(self, name: str, text: str | Iterable[str]) -> None:
        with replacing(self.file(name)) as temporary, open(temporary, "w", encoding="utf-8", newline="", errors=ANY_NAME) as file:
            file.writelines([text] if isinstance(text, str) else text)


@contextmanager
def replacing(path: Path, suffix: str = ".tmp") -> Iterator[Path]:
    """A path to write to; what was written there then takes the place of `path`, or is removed where something went wrong."""
    temporary = aside(path, suffix)
    try:
        yield temporary
        with open(temporary, "rb+") as file:  # on the disk first: a loss of power must not leave the name without the content
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def aside(path: Path, suffix: str = ".tmp") -> Path:
    """The hidden file beside `path` that holds its content until that is complete."""
    return path.with_name(f".{path.name}{suffix}")


def label_lines(labels: Sequence[str]) -> str:
    """Class names as a file of labels holds them."""
    return "".join(f"{label}\n" for label in labels)


def read_labels(path: Path) -> tuple[str, ...]:
    """The class names in a file of labels."""
    return tuple(path.read_text(encoding="utf-8").splitlines())


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Rows as CSV, one at a time, as a million take much memory; the writer returns what `write` does."""
    return map(csv.writer(SimpleNamespace(write=str), lineterminator="\n").writerow, itertools.chain([header], rows))


def _rows(epoch: Epoch) -> list[tuple[Any, ...]]:
    return [
        (epoch.phase, epoch.epoch, split, name, repr(value))
        for split, values in (("train", epoch.terms), ("val", epoch.validation), ("target", epoch.target))
        for name, value in values.items()
    ]
