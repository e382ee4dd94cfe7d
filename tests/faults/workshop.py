"""Runs as processes of their own, and what they leave compared with what an undisturbed run leaves."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from tlapp.engine.cache import rowfile
from tlapp.engine.runs import checkpoint
from tlapp.testing import pictures

COMMON = ["--backbone", "tiny:tiny", "--batch-size", "8", "--patience", "100"]
PLANS = {
    "freeze, a head with dropout": ["--plugin", "freeze", "--head", "mlp", "--epochs", "6"],
    "partial": ["--plugin", "partial", "--warmup", "2", "--epochs", "3"],
    "full": ["--plugin", "full", "--warmup", "2", "--epochs", "3"],
    "layerwise": ["--plugin", "layerwise", "--warmup", "2", "--epochs", "3"],
    "gradual": ["--plugin", "gradual", "--warmup", "2", "--epochs", "2", "--last", "2"],
    "feature-extract": ["--plugin", "feature-extract"],
    "partial, augmented": ["--plugin", "partial", "--warmup", "2", "--epochs", "3", "--augment", "basic"],
    "a solved head that is tuned": ["--plugin", "solve-then-tune"],
    "a loss that draws": ["--plugin", "draws"],
}
SHORT = ["--warmup", "1", "--source-epochs", "1", "--epochs", "2"]
ADAPTING = {
    "adversarial, all methods": ["--plugin", "adversarial", *SHORT, "--target", "{other}"],
    "augment-adapt": ["--plugin", "augment-adapt", *SHORT, "--views", "2", "--target", "{other}"],
    "self-supervised": ["--plugin", "self-supervised", *SHORT, "--pretrain-epochs", "2", "--views", "2", "--target", "{other}"],
    "self-training": ["--plugin", "self-training", *SHORT, "--rounds", "2", "--target", "{other}"],
    "multi-task": ["--plugin", "multi-task", "--warmup", "1", "--epochs", "3", "--aux", "{other}"],
}
"""Plans that take other pictures too."""
OFTEN = {"tlapp.engine.training.session.CHECKPOINT_SECONDS": 0.0, "tlapp.engine.training.steps.BLOCK_BYTES": 1}
"""A checkpoint after every step."""
LONGEST = 180


class Ended(NamedTuple):
    """How a process ended: its exit code, or the negative number of the signal; and what it said, to which file."""

    code: int
    said: str
    log: Path

    def later(self, word: str) -> str:
        """What it and its witness said, once that holds a word, or after seconds."""
        deadline = time.monotonic() + 10
        while word not in (said := self.log.read_text(errors="replace")) and time.monotonic() < deadline:
            time.sleep(0.01)
        return said


class Whole(NamedTuple):
    """A run that was left in peace, and how long it took."""

    folder: Path
    seconds: float


class Process:
    """A command line under way."""

    def __init__(self, shop: Workshop, pid: int, said: Path):
        self._shop, self.pid, self._said = shop, pid, said

    def kill(self) -> None:
        """End it and its children as the kernel does when memory is short."""
        for kill, number in ((os.killpg, self.pid), (os.kill, self.pid)):
            with contextlib.suppress(ProcessLookupError):
                kill(number, signal.SIGKILL)

    def children(self, word: str) -> list[int]:
        """The processes that it started by a command with this word."""
        found: list[int] = []
        for path in Path(f"/proc/{self.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(pid) for pid in path.read_text().split() if word in Path(f"/proc/{pid}/cmdline").read_text()]
        return found

    def said(self) -> str:
        return self._said.read_text(errors="replace") if self._said.exists() else ""

    def until(self, word: str) -> bool:
        """Wait until it has said a word; False if it ended, or takes too long."""
        deadline = time.monotonic() + 30
        while word not in self.said() and time.monotonic() < deadline and Path(f"/proc/{self.pid}/stat").exists():
            if Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                break
            time.sleep(0.005)
        return word in self.said()

    def wait(self) -> Ended:
        late = threading.Timer(LONGEST, self.kill)
        late.start()
        status = self._shop.ask({"wait": self.pid})
        late.cancel()
        return Ended(os.waitstatus_to_exitcode(status), self.said(), self._said)


class Workshop:
    """A folder with pictures, undisturbed runs by plan, and the process that forks the others. A context manager."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._numbers = itertools.count()
        self._whole: dict[str, Whole] = {}
        self.shapes, self.other = pictures(folder / "shapes"), pictures(folder / "other", 8, seed=1)
        self._warm: Any = None

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        if self._warm:
            self._warm.stdin.close()
            self._warm.wait(30)
            self._warm.stdout.close()

    def ask(self, request: dict[str, Any]) -> int:
        """Send a request to the process that forks."""
        if self._warm is None:
            program = str(Path(__file__).with_name("warm.py"))
            self._warm = subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._warm.stdin.write(json.dumps(request) + "\n")
        self._warm.stdin.flush()
        return int(self._warm.stdout.readline())

    def fresh(self, name: str) -> Path:
        """A path that is not there yet."""
        return self.folder / f"{name}-{next(self._numbers)}"

    def start(self, *arguments: object, cache: Path | None = None, **request: Any) -> Process:
        """Start a command line in a process of its own; see `warm.become` for what else can be asked."""
        log = self.fresh("log")
        environment = {"TLAPP_CACHE": str(cache or self.folder / "cache"), **request.pop("environment", {})}
        outputs = {"out": f"{log}.out", "err": str(log)}
        pid = self.ask({"arguments": [str(word) for word in arguments], "environment": environment, **outputs, **request})
        return Process(self, pid, log)

    def run(self, *arguments: object, **request: Any) -> Ended:
        """Start a command line and wait for its end."""
        return self.start(*arguments, **request).wait()

    def train(self, plan: str, folder: Path, data: Path | None = None) -> list[str]:
        """The words that train by a plan."""
        own = [word.format(other=self.other) for word in {**PLANS, **ADAPTING}[plan]]
        return ["train", *own, *COMMON, "--data", str(data or self.shapes), "--run", str(folder)]

    def again(self, plan: str, folder: Path, data: Path | None = None) -> list[str]:
        """The words that go on with a run, or begin it if it had not begun."""
        if (folder / "settings.yaml").is_file():
            return ["train", "--resume", str(folder)]
        return self.train(plan, folder, data)

    def whole(self, plan: str, data: Path | None = None) -> Whole:
        """A run of that plan that was left in peace."""
        name = f"{plan} {data or ''}"
        if name not in self._whole:
            folder, began = self.fresh("whole"), time.monotonic()
            # Blocks of steps are drawn for together when they are augmented, so that their size must be that of the trials.
            ended = self.run(*self.train(plan, folder, data), cache=self.fresh("cache"), constants=OFTEN)
            check(ended.code == 0, ended.said)
            self._whole[name] = Whole(folder, time.monotonic() - began)
        return self._whole[name]


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
