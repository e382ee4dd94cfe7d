"""A phase on a Ray of two machines, both of them this one."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.tiny_place import furnish, of

from tlapp.engine.runs.folder import HISTORY

TESTS = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_machines_give_the_losses_of_one_and_a_killed_worker_costs_a_block(tmp_path, tensorflow):
    import tlapp

    pytest.importorskip("ray.train", exc_type=ImportError)
    place = furnish(tmp_path, each=20)
    settings = {
        "plugin": "full", "warmup": 1, "epochs": 5, "patience": 9, "learning_rate": 1e-3, "batch_size": 8, "report": "off",
        **of(place),
    }  # fmt: skip
    command = [sys.executable, "-m", "helpers.two_machines", json.dumps({**settings, "run": str(tmp_path / "two")}), "kill"]
    for _ in range(3):  # a busy machine may take longer to start Ray than that waits
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, cwd=TESTS)
        if "timed out during startup" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("phase tune: a worker was lost") == 1
    tlapp.train(**settings, run=str(tmp_path / "one"))
    two, one = (history(tmp_path / name) for name in ("two", "one"))
    assert two.keys() == one.keys() and len(one) >= 5 * 3
    assert all(abs(two[key] - value) < 1e-4 for key, value in one.items())


def history(run):
    """(phase, epoch, split, name) -> number."""
    with open(run / HISTORY, encoding="utf-8", newline="") as file:
        return {(row["phase"], row["epoch"], row["split"], row["name"]): float(row["value"]) for row in csv.DictReader(file)}
