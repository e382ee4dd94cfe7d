"""Runs as processes of their own, and what they leave compared with what an undisturbed run leaves."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from checks import Ended, check

from tlapp.testing import pictures

COMMON = ["--backbone", "tiny:tiny"]
STEPS = ["--batch-size", "8", "--patience", "100"]
"""Of plans that train by gradient; others refuse what they do not read."""
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


class Whole(NamedTuple):
    """An uninterrupted run, and how long it took."""

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
    """A folder with pictures, undisturbed runs by plan, and the process that forks the others. A context manager.

    `earlier` is the share of the time, or of the room, at which a fault is to strike: less where it came too late before.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._numbers = itertools.count()
        self._whole: dict[str, Whole] = {}
        self.shapes, self.other = pictures(folder / "shapes"), pictures(folder / "other", 8, seed=1)
        self._warm: Any = None
        self.earlier = 1.0

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
        steps = [] if plan == "feature-extract" else STEPS
        return ["train", *own, *COMMON, *steps, "--data", str(data or self.shapes), "--run", str(folder)]

    def again(self, plan: str, folder: Path, data: Path | None = None) -> list[str]:
        """The words that go on with a run, or begin it if it had not begun."""
        if (folder / "settings.yaml").is_file():
            return ["train", "--resume", str(folder)]
        return self.train(plan, folder, data)

    def whole(self, plan: str, data: Path | None = None) -> Whole:
        """An uninterrupted run of that plan."""
        name = f"{plan} {data or ''}"
        if name not in self._whole:
            folder, began = self.fresh("whole"), time.monotonic()
            # Blocks of steps are drawn for together when they are augmented, so that their size must be that of the trials.
            ended = self.run(*self.train(plan, folder, data), cache=self.fresh("cache"), constants=OFTEN)
            check(ended.code == 0, ended.said)
            self._whole[name] = Whole(folder, time.monotonic() - began)
        return self._whole[name]
