"""How a process ended, and whether what it left is whole."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from tlapp.engine.cache import rowfile
from tlapp.engine.runs import checkpoint


class Ended(NamedTuple):
    """How a process ended: its exit code, or the negative number of the signal; and what it said, to which file."""

    code: int
    said: str
    log: Path

    def later(self, word: str) -> str:
        """What it and its watchdog said, once that holds a word, or after seconds."""
        deadline = time.monotonic() + 10
        while word not in (said := self.log.read_text(errors="replace")) and time.monotonic() < deadline:
            time.sleep(0.01)
        return said


class NotStruck(Exception):
    """The run was over before its fault struck: no trial of anything."""


def check(holds: bool, told: str) -> None:
    """Fail a trial."""
    if not holds:
        raise AssertionError(told)


def check_sentence(ended: Ended, *parts: str, code: int = 2) -> None:
    """A process ended with an exit code and one sentence that holds these parts."""
    last = ended.said.strip().splitlines()[-1] if ended.said.strip() else ""
    check(ended.code == code and last.startswith("tlapp: ") and "Traceback" not in ended.said, f"{ended.code}: {ended.said}")
    check(all(part in last for part in parts), f"expected {parts} in: {last}")


def check_same(one: Path, other: Path) -> None:
    """Two finished runs hold the same weights to the bit, the same history and the same metrics."""
    check((one / "history.csv").read_bytes() == (other / "history.csv").read_bytes(), f"history of {one}")
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (one, other)]
    check(all(metrics[0][split] == metrics[1][split] for split in ("val", "test")), f"metrics of {one}")
    check((one / "splits.csv").read_bytes() == (other / "splits.csv").read_bytes(), f"splits of {one}")
    first, second = weights(one / "model.keras"), weights(other / "model.keras")
    check(first.keys() == second.keys(), f"weights of {one}")
    check(all(np.array_equal(first[name], second[name]) for name in first), f"weights of {one}")


def weights(path: Path) -> dict[str, np.ndarray]:
    """Name -> array of a .keras file."""
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def check_nothing_half_written(folder: Path, *, killed: bool = False) -> None:
    """What has its final name is whole; unless the process was killed, nothing lies aside either."""
    if (folder / "model.keras").exists():
        with zipfile.ZipFile(folder / "model.keras") as archive:
            check(archive.testzip() is None, f"{folder}: model.keras")
    if (folder / "metrics.json").exists():
        json.loads((folder / "metrics.json").read_text())
        check((folder / "model.keras").exists(), f"{folder}: finished without a model")
    checkpoint.read(folder / "checkpoints" / "state.npz")
    if not killed:
        check_nothing_aside(folder)


def check_nothing_aside(folder: Path) -> None:
    """No file or folder that was written aside is left."""
    left = [str(path) for path in folder.rglob("*") if ".tmp" in path.name] if folder.is_dir() else []
    check(not left, f"left over: {left}")


def check_entries(cache: Path) -> None:
    """Every entry of a cache is whole."""
    for path in cache.glob("*.rows"):
        check(rowfile.open_rows(path) is not None, f"{path} is damaged")


@contextlib.contextmanager
def small_disk(folder: Path, size: int):
    """A disk of so many bytes at `folder`; yields a function that enlarges it, or None where a disk cannot be made."""
    folder.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        yield None
        return
    try:
        yield lambda more: subprocess.run(["mount", "-o", f"remount,size={more}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
