"""Trials on a local Ray of two workers: the same as without it, and one whose worker is killed goes on elsewhere."""

from __future__ import annotations

import csv
import os
import signal
import threading
import time
from contextlib import closing

import pytest
from helpers.processes import running
from helpers.tiny_place import furnish, of

from tlapp.engine.report import Silent
from tlapp.engine.runs.folder import HISTORY
from tlapp.trials.compare import compare, kinds
from tlapp.trials.on_ray import workers_on
from tlapp.trials.trial import Processes, Trial, carry_out

EPOCHS = 300


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    return furnish(tmp_path_factory.mktemp("ray"), each=20)


@pytest.fixture(scope="module")
def two_workers(ray_of_two):
    return workers_on("ray")


@pytest.mark.slow
def test_the_same_answers_as_on_this_machine(place, two_workers, tmp_path):
    every = kinds(["freeze:epochs=2", "feature-extract"], [], of(place))
    reports = []
    for name, workers in (("ray", two_workers), ("here", Processes())):
        with closing(workers):
            reports.append(compare(every, 1, tmp_path / name, Silent(), workers))
    on_ray, here = reports
    assert two_workers.count == 2
    assert [each[0] for each in on_ray["failed"]] == []
    for kind in ("freeze:epochs=2", "feature-extract"):
        assert on_ray["rows"][kind]["accuracy"] == here["rows"][kind]["accuracy"]


@pytest.mark.slow
def test_a_killed_worker_costs_no_trial(place, two_workers, tmp_path):
    trials = [
        Trial(
            f"seed {seed}",
            {"plugin": "freeze", "epochs": EPOCHS, "patience": EPOCHS, "seed": seed, **of(place)},
            tmp_path / str(seed),
        )
        for seed in range(2)
    ]
    killed = []

    def kill():
        end = time.monotonic() + 120
        while not killed and time.monotonic() < end:
            if all(trial.run.has(HISTORY) for trial in trials):
                killed.extend([*running(b"train_here")][:1])
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.1)

    thread = threading.Thread(target=kill)
    thread.start()
    ended = {trial.name: sentence for trial, sentence in carry_out(trials, two_workers, lambda trial: None)}
    thread.join()
    assert killed and ended == {"seed 0": "", "seed 1": ""}
    for trial in trials:
        with open(trial.run.file(HISTORY), encoding="utf-8", newline="") as file:
            epochs = [int(row["epoch"]) for row in csv.DictReader(file) if (row["split"], row["name"]) == ("train", "loss")]
        assert trial.done and epochs == [*range(1, EPOCHS + 1)]
