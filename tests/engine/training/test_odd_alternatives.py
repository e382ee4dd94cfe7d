"""Alternatives that change no weights by gradient, and scores that are no numbers."""

from __future__ import annotations

import pytest

from tlapp.contracts import Fit, OneOf, Plan, PluginError, Solve, Statistics, Strategy
from tlapp.engine.check import make_plan
from tlapp.testing import pictures, tiny_run
from tlapp.testing.anatomy import TASK, backbone


def warm(facts):
    return Fit(name="warm-up", rates=facts.frozen(), epochs=2, learning_rate=1e-2)


class Renews(Strategy):
    """Takes the statistics of a target that looks otherwise, unless val says that this is worse."""

    def plan(self, task, backbone):
        renew = Statistics(name="renew", rates=backbone.all(), streams=("target",))
        return Plan((warm(backbone), OneOf(phases=(renew,), select="val")))


class Solves(Strategy):
    """Has a head that is solved for among its alternatives."""

    def plan(self, task, backbone):
        solve = Solve(name="solve", rates=backbone.frozen(), solver=lambda features, labels, classes: None)
        return Plan((warm(backbone), OneOf(phases=(solve,), select="val")))


class Scored(Strategy):
    """Selects by what a function gives."""

    gives: float | str | None = None

    def plan(self, task, backbone):
        tune = Fit(name="tune", rates=backbone.last(1), epochs=1, learning_rate=1e-3)
        return Plan((OneOf(phases=(tune,), select=lambda probabilities, accuracy: self.gives),))


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("target"), each=8, seed=9)


def test_statistics_among_alternatives_are_judged_by_val(shapes, target, tmp_path, tensorflow):
    run = tiny_run(Renews(), shapes, tmp_path / "run", target=str(target), patience=5)
    by_phase = {name: [e.validation["loss"] for e in run.work.history.epochs if e.phase == name] for name in ("warm-up", "renew")}
    assert len(by_phase["renew"]) == 1
    kept = run.work.streams.metrics(*run.work.last(), "val")["loss"]
    assert kept == pytest.approx(min(*by_phase["warm-up"], *by_phase["renew"]), abs=1e-5)


def test_a_head_that_is_solved_for_is_no_alternative():
    with pytest.raises(PluginError, match="phase solve: it fits a new head, which a OneOf cannot undo"):
        make_plan(Solves(), TASK, backbone(3))


@pytest.mark.parametrize("gives", [None, float("nan"), float("inf"), "much"])
def test_a_score_that_is_no_number_is_told(gives, shapes, target, tmp_path, tensorflow):
    strategy = Scored.model_construct(gives=gives)
    with pytest.raises(PluginError, match=r"must return a finite number\. Received: "):
        tiny_run(strategy, shapes, tmp_path / "run", target=str(target))
