"""What the target's score liked best is kept across phases, also those that val chooses, and by a run that is resumed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.adaptation import QUICK, STRATEGIES, adapted, answers, scored
from tlapp_plugins.self_training import SelfTraining

from tlapp.contracts import Fit, Plan, Statistics, Strategy
from tlapp.testing import TinyBackbones


@pytest.mark.slow
def test_the_simple_candidate_is_kept_where_what_trains_stages_does_worse(domains, tmp_path, tensorflow, monkeypatch):
    """Though a phase between them was chosen by val; and by a run that is stopped in that phase and resumed."""
    from tlapp.engine.report import Silent
    from tlapp.engine.run import train

    scored(monkeypatch, simple_target={0: 0.3, 1: 0.5}, simple_round_2={2: 0.8}, round_1={1: 0.6})
    run, metrics = adapted(SelfTraining(rounds=1, **QUICK), domains, tmp_path / "run")
    told = metrics["adaptation"]
    assert told["adapted"]["phase"] == "simple-round-2" and told["source_only"]["phase"] == "simple-target"
    (kept,) = [epoch.answers for epoch in run.work.history.epochs if (epoch.phase, epoch.epoch) == ("simple-round-2", 2)]
    assert np.array_equal(answers(run), kept) and metrics["target"]["accuracy"] == told["adapted"]["accuracy"]
    before, after = TinyBackbones().load("tiny").graph, run.work.graph
    for layer in before.layers:
        assert all(map(np.array_equal, layer.get_weights(), after.get_layer(layer.name).get_weights()))

    class Stop(Silent):
        def epoch(self, epoch):
            if (epoch.phase, epoch.epoch) == ("source", 1):
                raise KeyboardInterrupt

    options = run.job.options.model_copy(update={"run": str(tmp_path / "cut")})
    job = replace(run.job, options=options, settings=options.model_dump(mode="json"))
    with pytest.raises(KeyboardInterrupt):
        train(job, Stop())
    train(job, Silent(), resume=True)
    cut = json.loads((tmp_path / "cut" / "metrics.json").read_text())
    assert all(metrics[key] == cut[key] for key in ("val", "test", "target", "adaptation"))


@pytest.mark.slow
@pytest.mark.parametrize("at", ["pretrain", "fine-tune"])
def test_what_pretraining_spoils_is_kept_from_before_it(at, domains, tmp_path, tensorflow, monkeypatch):
    """Also by a run that is stopped and resumed, and in the model that it leaves when it is stopped."""
    import keras

    from tlapp.engine.report import Silent
    from tlapp.engine.run import Interrupted, train

    said = []
    monkeypatch.setattr(Silent, "note", lambda self, sentence: said.append(sentence))
    scored(monkeypatch, target_statistics={0: 0.3, 1: 0.5}, fine_tune={1: 0.4, 2: 0.35})
    run, whole = adapted(STRATEGIES["self-supervised"], domains, tmp_path / "whole")
    told = whole["adaptation"]
    assert (told["adapted"]["phase"], told["adapted"]["epoch"]) == ("target-statistics", 1) and told["helped"]
    kept = [epoch.answers for epoch in run.work.history.epochs if (epoch.phase, epoch.epoch) == ("target-statistics", 1)]
    assert np.array_equal(answers(run), kept[0]) and whole["target"]["accuracy"] == told["adapted"]["accuracy"]
    assert sum("best after phase target-statistics; that model is kept" in sentence for sentence in said) == 1

    class Stop(Silent):
        def epoch(self, epoch):
            if (epoch.phase, epoch.epoch) == (at, 2):
                raise KeyboardInterrupt

    options = run.job.options.model_copy(update={"run": str(tmp_path / "cut")})
    job = replace(run.job, options=options, settings=options.model_dump(mode="json"))
    with pytest.raises(Interrupted) as stop:
        train(job, Stop())
    assert np.array_equal(answers(run, keras.saving.load_model(stop.value.path, compile=False)), kept[0])
    train(job, Silent(), resume=True)
    cut = json.loads((tmp_path / "cut" / "metrics.json").read_text())
    assert all(whole[key] == cut[key] for key in ("val", "test", "target", "adaptation"))


class ThenSource(Strategy):
    """Takes the target's statistics, and trains on the source after that."""

    def plan(self, task, backbone):
        live = backbone.last(2)
        renew = Statistics(name="renew", rates=live, streams=("target",), select="target")
        return Plan((renew, Fit(name="tune", rates=live, epochs=2, learning_rate=1e-2)))


def test_a_loss_on_val_is_not_held_against_the_target_s_score(domains, tmp_path, tensorflow, monkeypatch):
    said = []
    monkeypatch.setattr("tlapp.engine.report.Silent.note", lambda self, sentence: said.append(sentence))
    run, metrics = adapted(ThenSource(), domains, tmp_path / "run")
    kept = min(epoch.validation["loss"] for epoch in run.work.history.epochs if epoch.phase == "tune")
    assert metrics["val"]["loss"] == pytest.approx(kept, rel=1e-3)
    assert not any("is kept" in sentence for sentence in said)
