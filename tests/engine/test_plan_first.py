"""A plan is asked for before anything is decoded or loaded, from the listing's counts and the backbone's facts."""

from __future__ import annotations

import threading

import pytest

from tlapp import registry
from tlapp.cli.main import run
from tlapp.contracts import Fit, Plan, Strategy
from tlapp.errors import UserError
from tlapp.testing import TinyBackbones, tiny_run


class Counting(Strategy):
    """Remembers the tasks that it plans for."""

    def plan(self, task, backbone):
        TASKS.append((dict(task.streams), backbone.name))
        return Plan((Fit(name="head", rates=backbone.frozen(), epochs=1, learning_rate=0.1),))


TASKS: list = []


@pytest.fixture(autouse=True)
def forget():
    TASKS.clear()


def refuse(*arguments, **options):
    raise AssertionError("something was read or loaded before the plan was checked")


def test_an_option_that_does_not_fit_costs_no_decoding_and_no_backbone(shapes, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("tlapp.engine.data.streams.start", refuse)
    monkeypatch.setattr("tlapp.backbones.keras_cv.KerasCV.load", refuse)
    assert run(["train", "--plugin", "partial", "--last", "19", "--data", str(shapes), "--run", str(tmp_path / "run")]) == 2
    assert "--last 19: keras-cv:efficientnet-lite0 has 8 stages (stem ... top). Received: 19" in capfd.readouterr().err


def test_a_backbone_whose_facts_must_be_loaded_stops_the_decoding(shapes, tmp_path, monkeypatch, tensorflow):
    from tlapp.engine.data.streams import Loading

    cancelled = []
    cancel = Loading.cancel
    monkeypatch.setattr(Loading, "cancel", lambda self: cancelled.append(cancel(self)))
    with pytest.raises(UserError, match="has 3 stages"):
        tiny_run(registry.load("strategy", "partial")(last=19), shapes, tmp_path / "run")
    assert cancelled and not (tmp_path / "run").exists()


def test_a_cancelled_load_stops():
    from tlapp.engine.data.loading import Cancelled, Loading

    begun, steps = threading.Event(), []

    def work(report):
        while True:
            report("task", len(steps), 10)
            steps.append(1)
            begun.set()

    load = Loading(work, lambda task, done, total: None)
    begun.wait(10)
    load.cancel()
    with pytest.raises(Cancelled):
        load.result()


def test_the_plan_is_asked_once_where_the_listing_told_the_truth(shapes, tmp_path, monkeypatch, tensorflow):
    facts = TinyBackbones().load("tiny").facts
    monkeypatch.setattr(TinyBackbones, "facts", lambda self, name, image_size=None: facts, raising=False)
    done = tiny_run(Counting(), shapes, tmp_path / "run")
    assert [({name: len(stream) for name, stream in done.dataset.streams.items()}, "tiny:tiny")] == TASKS


def test_the_plan_is_asked_again_where_examples_were_left_out(shapes, tmp_path, tensorflow):
    import shutil

    data = tmp_path / "data"
    shutil.copytree(shapes, data)
    for name in ("circle", "square"):
        (data / name / "broken.png").write_bytes(b"no picture")
    done = tiny_run(Counting(), data, tmp_path / "run", on_bad="skip")
    assert len(TASKS) == 2
    assert sum(TASKS[0][0].values()) == sum(TASKS[1][0].values()) + 2
    assert TASKS[1][0] == {name: len(stream) for name, stream in done.dataset.streams.items()}
