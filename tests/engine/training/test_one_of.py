"""Alternatives: each begins with the same weights, and the best end, or that beginning, is kept."""

from __future__ import annotations

import numpy as np
import pytest

from tlapp.contracts import Fit, OneOf, Plan, PluginError, Strategy
from tlapp.engine.check import make_plan
from tlapp.engine.training.order import in_order
from tlapp.testing import pictures, tiny_run
from tlapp.testing.anatomy import TASK, backbone


def fit(name, rates, **more):
    return Fit(name=name, rates=rates, **{"epochs": 6, "learning_rate": 0.01, **more})


class Rivals(Strategy):
    """Several learning rates for the last stage, the best by what `how` says."""

    how: str = "val"
    rates: tuple[float, ...] = (3e-3, 1e-9)

    def plan(self, task, backbone):
        select = {"val": "val", "target": "target", "own": confident}[self.how]
        warm = fit("warm-up", backbone.frozen(), epochs=3)
        rivals = tuple(fit(f"rival-{i}", backbone.last(1), learning_rate=rate) for i, rate in enumerate(self.rates))
        return Plan((warm, OneOf(phases=rivals, select=select)))


def confident(probabilities, accuracy):
    """A score of a plan's own."""
    return float(probabilities.max(axis=1).mean())


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("target"), each=8, seed=9)


def kernels(run):
    return run.backbone.graph.get_layer("top_conv").kernel.numpy()


def lines(run, phase, epoch=None):
    return [e for e in run.work.history.epochs if e.phase == phase and epoch in (None, e.epoch)]


def test_by_the_loss_on_val(shapes, tmp_path, tensorflow):
    run = tiny_run(Rivals(), shapes, tmp_path / "run", patience=5)
    ends = {phase: min(e.validation["loss"] for e in lines(run, phase)) for phase in ("rival-0", "rival-1")}
    kept = run.work.streams.metrics(*run.work.last(), "val")["loss"]
    assert ends["rival-0"] < ends["rival-1"] and kept == pytest.approx(ends["rival-0"], abs=1e-5)


def test_each_begins_with_the_same_weights(shapes, tmp_path, tensorflow):
    """The second rival, which hardly moves, scores as it would alone: not as the first one's end."""
    both = tiny_run(Rivals(), shapes, tmp_path / "both")
    alone = tiny_run(Rivals(rates=(1e-9,)), shapes, tmp_path / "alone")
    first, second = (lines(run, phase, 1)[0].validation["loss"] for run, phase in ((both, "rival-1"), (alone, "rival-0")))
    assert first == pytest.approx(second, abs=1e-5)
    assert not np.allclose(kernels(both), kernels(alone))


@pytest.mark.parametrize("how", ["target", "own"])
def test_by_a_score_of_the_target(how, shapes, target, tmp_path, tensorflow):
    run = tiny_run(Rivals(how=how), shapes, tmp_path / "run", target=str(target))
    scores = [epoch.target["score"] for epoch in run.work.history.epochs if epoch.target]
    assert len(scores) == 14  # both rivals: as they begin, and six epochs each
    assert run.work.loss == pytest.approx(-max(scores))
    if how == "own":  # history says that score itself
        assert all(1 / 3 <= score <= 1 for score in scores) and run.work.loss == -max(scores)


def test_neighbours_that_say_alternative_are_a_one_of():
    rates = backbone(3).frozen()
    old = [fit(name, rates, select="target", alternative=True) for name in "bc"]
    plan = Plan((fit("a", rates), *old, fit("d", rates)))
    assert [place.group for place in in_order(plan)] == [None, 1, 1, None]
    new = Plan((fit("a", rates), OneOf(phases=(fit("b", rates), fit("c", rates))), fit("d", rates)))
    assert in_order(plan) == in_order(new)


class Wrong(Strategy):
    """A plan with whatever it is given."""

    def plan(self, task, backbone):
        return Plan(ENTRIES[0])


ENTRIES: list = [()]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ((OneOf(phases=()),), "at least one phase"),
        ((OneOf(phases=(OneOf(phases=()),)),), "the alternatives of a OneOf must be phases"),
        (("warm-up",), "must each be a Fit"),
        ([], "a tuple of at least one phase"),
    ],
)
def test_what_is_no_alternative_is_told(entries, sentence):
    ENTRIES[0] = entries
    with pytest.raises(PluginError, match=sentence):
        make_plan(Wrong(), TASK, backbone(3))


class Reckless(Strategy):
    """A weight decay that makes the weights infinite, then none."""

    def plan(self, task, backbone):
        rivals = (
            fit("wild", backbone.last(1), weight_decay=1e38, learning_rate=10),
            fit("tame", backbone.last(1), learning_rate=3e-3),
        )
        return Plan((fit("warm-up", backbone.frozen(), epochs=3), OneOf(phases=rivals, select="val")))


def test_an_alternative_that_diverges_leaves_the_others_their_turn(shapes, tmp_path, tensorflow, monkeypatch):
    notes = []
    monkeypatch.setattr("tlapp.engine.report.Silent.note", lambda self, sentence: notes.append(sentence))
    run = tiny_run(Reckless(), shapes, tmp_path / "run", patience=10)
    assert any("phase wild: stopped: the loss is no longer a finite number" in note for note in notes)
    kept = run.work.streams.metrics(*run.work.last(), "val")["loss"]
    assert kept == pytest.approx(min(e.validation["loss"] for e in run.work.history.epochs), abs=1e-5)
