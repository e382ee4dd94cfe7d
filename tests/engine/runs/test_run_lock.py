"""One process trains a run at a time; others may look at it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tlapp.engine.runs.folder import LOCK, METRICS
from tlapp.engine.runs.lock import RunLock
from tlapp.engine.runs.record import Record
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones, pictures

SLOW = """
import sys, time
from tlapp.cli.main import main
from tlapp.engine.runs.record import Record
epoch = Record.epoch
def slow(self, line):
    epoch(self, line)
    print("epoch", flush=True)
    time.sleep(60)
Record.epoch = slow
sys.argv = ["tlapp", *sys.argv[1:]]
main()
"""
"""Training that stops for a minute after its first epoch."""


def begin(path):
    record = Record(str(path), "freeze")
    record.begin({"run": str(path)}, {}, ("a", "b"), ())
    return record


def test_two_resumes_of_one_run(tmp_path):
    begin(tmp_path / "run").release()
    first = Record(str(tmp_path / "run"), "freeze", resume=True)
    with pytest.raises(UserError, match="another process trains this run now; wait until it ends"):
        Record(str(tmp_path / "run"), "freeze", resume=True)
    first.release()
    Record(str(tmp_path / "run"), "freeze", resume=True).release()


def test_a_finished_run_leaves_no_lock(tmp_path):
    record = begin(tmp_path / "run")
    assert (tmp_path / "run" / LOCK).exists()
    record.finish({})
    assert not (tmp_path / "run" / LOCK).exists() and (tmp_path / "run" / METRICS).exists()


def test_a_folder_without_locks_is_trained_in(tmp_path):
    RunLock().acquire(tmp_path / "missing" / "folder")  # the error is told where the first file is written


@pytest.fixture
def run(tmp_path, tensorflow):
    """A process that trains, after its first epoch, and its folder."""
    TinyBackbones().load("tiny").graph.save(tmp_path / "tiny.keras")
    folder = tmp_path / "run"
    words = [
        "train", "--plugin", "freeze", "--data", str(pictures(tmp_path / "data", each=8)), "--epochs", "3",
        "--backbone", f"file:{tmp_path}/tiny.keras", "--image-size", str(SIZE), "--run", str(folder),
    ]  # fmt: skip
    child = subprocess.Popen([sys.executable, "-c", SLOW, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "epoch\n"
    yield child, folder
    child.kill()
    child.wait()


def tlapp(*words):
    code = "from tlapp.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


def test_the_second_of_two_processes_gets_one_sentence_and_the_dead_hold_no_lock(run, capfd):
    from tlapp.cli.main import run as command

    child, folder = run
    assert command(["train", "--resume", str(folder)]) == 2
    error = capfd.readouterr().err.strip()
    assert error.splitlines()[-1].endswith("another process trains this run now; wait until it ends")
    assert "Traceback" not in error and not (folder / METRICS).exists()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    done = tlapp("train", "--resume", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == str(folder)
    assert command(["predict", str(folder), str(next((folder.parent / "data").rglob("*.png")))]) == 0


def test_reading_needs_no_lock(tmp_path):
    from tlapp.engine.runs.saved import SavedRun

    record = begin(tmp_path / "run")
    began = time.monotonic()
    with pytest.raises(UserError, match="did not finish"):
        SavedRun(tmp_path / "run")
    (tmp_path / "run" / METRICS).write_text("{}")
    assert SavedRun(tmp_path / "run").labels == ("a", "b") and time.monotonic() - began < 1
    record.release()
