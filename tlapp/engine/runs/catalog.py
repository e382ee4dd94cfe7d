"""The runs in a folder, as far as their files tell without opening a model."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlapp.engine.data.intervals import share
from tlapp.engine.runs import lock
from tlapp.engine.runs.folder import EXPORTS, METRICS, SETTINGS, RunFolder

ROOT = Path("saved_models")
"""Where runs lie that were given no folder."""


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        state: "finished", "training" (by another process, now), "unfinished", or "unreadable" where a file is damaged.
        noun: what its examples are called.
        pictures: how many examples it trains, validates and tests with; None where unknown, as the words before it are "".
        accuracy, r2: of the test pictures; None where there is none yet, or labels are of the other kind.
        begun: seconds since 1970.
        interval: of the accuracy, 95 %; None where there is none.
        exported: the folders of its exports, such as "tflite-int8".
    """

    folder: Path
    state: str
    strategy: str
    backbone: str
    data: str
    pictures: int | None
    accuracy: float | None
    begun: float
    bytes: int
    r2: float | None = None
    interval: tuple[float, float] | None = None
    exported: tuple[str, ...] = ()
    noun: str = "picture"

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        begun = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self.begun))
        return {**vars(self), "folder": str(self.folder), "name": self.folder.resolve().name, "begun": begun}


def entries(root: Path) -> list[Entry]:
    """The runs that lie directly in a folder, or the run that the folder is, newest first; all else in it is passed over."""
    folders = [root] if _is_run(root) else [path for path in _inside(root) if _is_run(path)]
    return sorted(map(_entry, folders), key=lambda entry: (-entry.begun, entry.folder.name))


def folders(root: Path = ROOT) -> list[RunFolder]:
    """The runs that lie directly in a folder, the one that was begun last first; nothing in them is read."""
    found = [path for path in _inside(root) if _is_run(path)]
    return [RunFolder(path) for path in sorted(found, key=_begun, reverse=True)]


def _begun(path: Path) -> float:
    try:
        return RunFolder(path).file(SETTINGS).stat().st_mtime
    except OSError:  # it is being removed
        return 0.0


def _inside(root: Path) -> list[Path]:
    try:
        return sorted(root.iterdir())
    except OSError:
        return []


def _is_run(path: Path) -> bool:
    try:
        return RunFolder(path).has(SETTINGS)
    except OSError:  # a folder that may not be read
        return False


def _entry(path: Path) -> Entry:
    files = RunFolder(path)
    try:
        settings, metrics = _mapping(files.settings()), _mapping(files.metrics() if files.has(METRICS) else {})
        counts = metrics.get("images") or files.plan().get("images") or {}
        pictures = sum(int(counts.get(name, 0)) for name in ("train", "val", "test")) if counts else None
        test, noun = metrics.get("test") or {}, str(files.plan().get("noun", "picture"))
        accuracy, r2 = _at_most_one(test.get("accuracy"), 0), _at_most_one(test.get("r2"))
        tested = int(counts.get("test", 0))
        interval = None if accuracy is None or tested < 1 else share(accuracy * tested, tested)
        words = [str(settings.get(key, "")) for key in ("plugin", "backbone", "data")]
        state = "finished" if metrics else "training" if lock.is_held(path) else "unfinished"
    except Exception:  # whatever the files hold, the other runs are listed
        words, pictures, accuracy, r2, interval, state = ["", "", ""], None, None, None, None, "unreadable"
        noun = "picture"
    strategy, backbone, data = words
    exported = tuple(each.name for each in _inside(path / EXPORTS) if each.is_dir())
    return Entry(
        path, state, strategy, backbone, data, pictures, accuracy, _begun(path), _bytes(path), r2,
        None if interval is None else (interval[0], interval[1]), exported, noun,
    )  # fmt: skip


def _at_most_one(value: Any, least: float = -math.inf) -> float | None:
    """A number from `least` to 1; None where a file holds something else, such as NaN, which JSON cannot hold."""
    return float(value) if isinstance(value, (int, float)) and least <= value <= 1 and math.isfinite(value) else None


def _mapping(content: Any) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise ValueError("no mapping")
    return content


def _bytes(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        with contextlib.suppress(OSError):  # it is being removed
            total += file.lstat().st_size if file.is_file() else 0
    return total
