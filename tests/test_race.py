"""A race keeps what val likes best, tries more only where it pays, stops by time, and goes on where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.races import Deaf, Runs, kept, raced, settings
from helpers.tiny_place import furnish, of
from tlapp_plugins.auto import Auto

import tlapp
from tlapp import race
from tlapp.cli.main import run as command
from tlapp.cli.result import verdict_lines
from tlapp.contracts import Rung
from tlapp.engine.report import Silent
from tlapp.engine.run import Interrupted
from tlapp.errors import UserError
from tlapp.settings import resolve
from tlapp.testing import SIZE


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    return furnish(tmp_path_factory.mktemp("race"), each=20)


class Told(Silent):
    def __init__(self):
        self.epochs = []

    def epoch(self, epoch):
        self.epochs.append((epoch.phase, epoch.epoch))


LADDER = ["probe", "partial", "full"]
STEEP = (
    Rung("freeze", "freeze"), Rung("partial", "partial"), Rung("deeper", "partial", {"last": 4}, needs=("partial",)),
    Rung("full", "full", needs=("deeper",)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("right", "best"),
    [
        ({"probe": 0.8, "partial": 0.7, "full": 0.75}, "probe"),
        ({"probe": 0.7, "partial": 0.8, "full": 0.9}, "full"),
        ({"probe": 0.8, "partial": 0.8, "full": 0.8}, "probe"),  # the cheapest of equals
    ],
)
def test_it_keeps_what_val_likes_best(place, tmp_path, right, best):
    folder = raced(place, tmp_path / "run", Runs(right))
    assert folder == tmp_path / "run" and kept(folder) == (best, LADDER)
    assert (folder / "settings.yaml").read_text() == f"plugin: {best}\n"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["seconds"], metrics["peak_memory_mb"]) == ({"total": 3.0}, 8.0)  # of all that was tried
    assert not (folder / "race").exists()


@pytest.mark.parametrize(
    ("right", "best", "tried"),
    [
        ({"freeze": 0.8, "partial": 0.7}, "freeze", ["freeze", "partial"]),
        ({"freeze": 0.6, "partial": 0.8, "deeper": 0.75}, "partial", ["freeze", "partial", "deeper"]),
        ({"freeze": 0.6, "partial": 0.8, "deeper": 0.9, "full": 0.85}, "deeper", ["freeze", "partial", "deeper", "full"]),
        ({"freeze": 0.8, "partial": 0.805}, "freeze", ["freeze", "partial"]),  # two pictures are chance
    ],
)
def test_a_rung_that_needs_others_is_tried_where_they_pay(place, tmp_path, right, best, tried):
    folder = raced(place, tmp_path / "run", Runs(right), STEEP)
    assert kept(folder) == (best, tried)
    assert (folder / "settings.yaml").read_text() == f"plugin: {'partial' if best == 'deeper' else best}\n"


@pytest.mark.parametrize(("examples", "best", "tried"), [(499, "partial", LADDER[:2]), (500, "full", LADDER)])
def test_everything_is_tuned_where_examples_are_many(place, tmp_path, examples, best, tried):
    folder = raced(place, tmp_path / "run", Runs({"probe": 0.7, "partial": 0.8, "full": 0.9}, examples=examples))
    assert kept(folder) == (best, tried)


@pytest.mark.parametrize(
    ("losses", "tried", "epochs"),
    [
        # of partial's 400 answers 0.8 are right: its loss, at its best temperature, is 0.5004 with a standard error of 0.0278
        ([9.0, 9.0, 0.53, 0.4, 0.4], LADDER[:2], 2),
        ([9.0, 9.0, 0.52, 9.0, 0.51], LADDER[:2], 4),
        ([9.0, 9.0, 0.52, 9.0, 0.49, 9.0], LADDER, 6),
        ([0.4, 0.4, np.nan, 0.4, 0.4], LADDER[:2], 2),
    ],
)
def test_the_dearest_is_left_where_its_first_epochs_promise_nothing(place, tmp_path, losses, tried, epochs):
    runs = Runs({"probe": 0.7, "partial": 0.8, "full": 0.9}, losses={"full": losses})
    folder = raced(place, tmp_path / "run", runs)
    assert kept(folder) == (tried[-1], tried)
    said = [*verdict_lines(json.loads((folder / "metrics.json").read_text()))]
    assert ("full left early" in said[0]) == (tried == LADDER[:2])
    assert runs.told == [*(("warm-up", number) for number in range(1, 6)), *(("tune", n) for n in range(1, epochs + 1))]
    assert not (folder / "race").exists()


def test_with_a_target_the_ways_of_adapting_race_by_its_score(place, tmp_path):
    class Adapting(Runs):
        def __call__(self, each, *rest):
            super().__call__(each, *rest)
            path = Path(each.options.run) / "metrics.json"
            score = {"adapted": {"score": self.scores[path.parent.name]}}
            path.write_text(json.dumps({**json.loads(path.read_text()), "adaptation": score}))

    right = {"simple": 0.6, "mcc": 0.9, "self-training": 0.7}
    runs = Adapting(right)
    runs.scores = {"simple": 0.7, "mcc": 0.5, "self-training": 0.8}
    folder = raced(place, tmp_path / "run", runs, target=str(place / "data"))
    assert kept(folder) == ("self-training", ["simple", "mcc", "self-training"])
    lines = [*verdict_lines(json.loads((folder / "metrics.json").read_text()))]
    assert lines == [
        "race, by the target's score, higher is better: simple 0.7000, mcc 0.5000, self-training 0.8000; kept: self-training"
    ]


def test_backbones_are_compared_on_frozen_features_and_the_best_is_tuned(place, tmp_path):
    runs = Runs({"probe": 0.65, "probe-1": 0.7, "partial": 0.5, "full": 0.5})
    one, other = "keras-cv:efficientnet-lite0", "keras-cv:efficientnet-lite1"
    folder = raced(place, tmp_path / "run", runs, backbones=f"{one}, {other}")
    assert [(name, backbone) for name, _, backbone, _ in runs.seen] == [
        ("probe", one), ("probe-1", other), ("partial", other), ("full", other),
    ]  # fmt: skip
    assert runs.ahead == [[], ["partial", "full"], ["full"], []]  # what follows on the same backbone, once all were tried
    assert kept(folder)[0] == "probe-1"


def test_it_goes_on_where_it_was_stopped(place, tmp_path):
    losses = {"probe": 0.8, "partial": 0.7, "full": 0.7}
    with pytest.raises(Interrupted) as stopped:
        raced(place, tmp_path / "run", Runs(losses, stop="partial"))
    assert stopped.value.resumable == tmp_path / "run" and not (tmp_path / "run" / "metrics.json").exists()
    again = Runs(losses)
    assert kept(raced(place, tmp_path / "run", again, resume=True)) == ("probe", LADDER)
    assert [(name, resumes) for name, _, _, resumes in again.seen] == [("partial", True), ("full", False)]


def test_a_rung_that_cannot_be_tried_is_told_and_the_first_leaves_nothing(place, tmp_path):
    class Failing(Runs):
        def __call__(self, each, *rest):
            if each.options.plugin == self.stop:
                raise UserError("is no good")
            super().__call__(each, *rest)

    right = {"freeze": 0.8, "probe": 0.8, "partial": 0.6, "full": 0.6}
    assert kept(raced(place, tmp_path / "run", Failing(right, stop="partial"))) == ("probe", ["probe", "full"])
    other = raced(place, tmp_path / "other", Failing(right, stop="probe"))
    assert kept(other) == ("freeze", ["freeze", "partial", "full"])  # in its place, and only then
    with pytest.raises(UserError, match="is no good"):
        raced(place, tmp_path / "none", Failing(right, stop="freeze"), STEEP)
    assert not (tmp_path / "none").exists()


def test_time_stops_it_and_the_first_run_always_ends(place, tmp_path):
    runs = Runs({"probe": 0.6})
    assert kept(raced(place, tmp_path / "none", runs, seconds=1e-9)) == ("probe", ["probe"])
    clock = iter([0.0, 1.0, 99.0, 99.0, 99.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tlapp.race.time.monotonic", lambda: next(clock))
        asked = settings(place, tmp_path / "mid")
        late = race.Race(asked, Deaf(), Runs({"probe": 0.6, "partial": 0.8}, late="partial"), 10.0, began=0.0)
        next(clock)
        assert kept(late.run(asked.strategy.rungs())) == ("probe", ["probe"])


def test_a_real_race_is_a_run_like_any_other(place, tmp_path, capfd):
    shared = of(place)
    one = tlapp.train(plugin="auto", run=str(tmp_path / "one"), **shared)
    tried = one.metrics["race"]["tried"]
    assert {"probe", "partial"} <= tried.keys() and "freeze" not in tried and one.metrics["race"]["kept"] in tried
    assert tried[one.metrics["race"]["kept"]]["val_loss"] <= tried["probe"]["val_loss"]
    assert "A race: " in (one.folder / "report.html").read_text()  # written once, when all are over
    other = tlapp.train(plugin="auto", run=str(tmp_path / "other"), **shared)
    assert other.metrics["race"]["kept"] == one.metrics["race"]["kept"]
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    again = tlapp.train(tmp_path / "one" / "settings.yaml", run=str(tmp_path / "again"))
    assert again.metrics["test"]["accuracy"] == one.metrics["test"]["accuracy"]
    assert command(["train", "--plugin", "auto", "--time", "soon", "--data", str(place / "data")]) == 2
    assert "--time soon: expected a time such as 90s, 5m or 2h" in capfd.readouterr().err


def test_a_run_that_learns_nothing_is_left_in_the_middle(place, tmp_path, monkeypatch):
    still = {"learning_rate": 1e-9, "warmup": 1, "epochs": 4}
    monkeypatch.setattr(Auto, "rungs", lambda self: [Rung("probe", "probe"), Rung("still", "full", still, probation=3)])
    told = Told()
    run = tlapp.train(plugin="auto", run=str(tmp_path / "run"), report="off", reporter=told, **of(place))
    race = run.metrics["race"]
    assert (race["kept"], [*race["tried"]], [*race["left"]]) == ("probe", ["probe"], ["still"])
    assert told.epochs in ([("warm-up", 1), *(("tune", number) for number in range(1, last + 1))] for last in (2, 3))
    assert run.metrics["seconds"]["total"] > race["left"]["still"] > 0


def test_a_head_that_was_asked_for_is_not_replaced_by_one_in_closed_form(place, tmp_path):
    run = tlapp.train(plugin="auto", head="mlp", run=str(tmp_path / "run"), report="off", **of(place))
    tried = run.metrics["race"]["tried"]
    assert {"freeze", "partial"} <= tried.keys() and "probe" not in tried and run.settings["head"] == "mlp"


@pytest.mark.slow
def test_its_verdict_is_of_the_backbone_that_won_and_what_has_none_is_refused_first(place, tmp_path):
    shared = {"plugin": "auto", "data": str(place / "data"), "image_size": SIZE, "verdict": True}
    won = f"file:{place}/tiny.keras"
    run = tlapp.train(backbone="keras-cv:efficientnet-lite0", backbones=won, run=str(tmp_path / "run"), **shared)
    assert "training from scratch" in run.metrics["verdict"]
    for name in ("full", "feature-extract"):
        assert tlapp.load(tmp_path / "run" / "scratch" / name).settings["backbone"] == won
    with pytest.raises(UserError, match="needs a test set with one class an example"):
        tlapp.train(backbone=won, head="multilabel", run=str(tmp_path / "many"), **shared)
    assert not (tmp_path / "many").exists()


def test_rungs_say_what_they_are():
    least = {
        name: resolve({"plugin": "auto", "data": f"builtin:{name}"}).strategy.rungs()[3].least for name in ("digits", "signs")
    }
    assert least == {"digits": 500, "signs": 0}  # texts, where everything pays earlier
    assert Auto(time="1.5m").seconds == 90 and Auto().seconds is None
    assert Auto().rungs()[0] == Rung("probe", "probe") and Auto().rungs()[-1].adapts
    with pytest.raises(UserError, match="expected a time"):
        _ = Auto(time="0s").seconds
