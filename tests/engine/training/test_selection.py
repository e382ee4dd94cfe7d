"""The score on the target chooses which weights are kept."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.adaptation import QUICK, STRATEGIES, adapted, answers, scored
from tlapp_plugins.adversarial import Adversarial
from tlapp_plugins.augment_adapt import AugmentAdapt
from tlapp_plugins.self_training import SelfTraining

from tlapp.contracts import Fit, Plan, PluginError, Strategy, UserError
from tlapp.testing import TinyBackbones, tiny_run


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "self-training, restyled" else [pytest.mark.slow]) for name in STRATEGIES],
)
def test_the_target_s_labels_change_nothing_but_its_metrics(name, domains, tmp_path, tensorflow):
    source, target = domains
    order = tmp_path / "order.csv"
    paths = sorted(target.rglob("*.png"))
    order.write_text("path,label\n" + "".join(f"{path},{path.parent.name}\n" for path in paths))
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("path,label\n" + "".join(f"{p},{q.parent.name}\n" for p, q in zip(paths, np.roll(paths, 7), strict=True)))
    first, known = adapted(STRATEGIES[name], (source, order), tmp_path / "a")
    second, other = adapted(STRATEGIES[name], (source, wrong), tmp_path / "b")
    assert (tmp_path / "a" / "history.csv").read_text() == (tmp_path / "b" / "history.csv").read_text()
    for a, b in zip(first.work.model().weights, second.work.model().weights, strict=True):
        assert np.array_equal(a, b)
    assert known["test"] == other["test"] and known["target"]["loss"] != other["target"]["loss"]


@pytest.mark.slow
def test_what_the_score_says_is_best_is_what_is_kept(domains, tmp_path, tensorflow):
    run, metrics = adapted(Adversarial(**QUICK), domains, tmp_path / "run")
    told = metrics["adaptation"]
    looked = [epoch for epoch in run.work.history.epochs if epoch.target]
    simple = {"simple-target", *(f"simple-round-{number}" for number in range(1, 5))}
    methods = ("adabn", "coral", "mcc", "cdan", "dann")
    assert {epoch.phase for epoch in looked} == {*simple, "target-statistics", *methods}
    best = max(looked, key=lambda epoch: epoch.target["score"])
    assert (told["adapted"]["phase"], told["adapted"]["epoch"]) == (best.phase, best.epoch)
    labels = run.dataset.streams["target"].labels
    assert metrics["target"]["accuracy"] == pytest.approx(np.mean(best.answers == labels))
    assert told["source_only"]["epoch"] == 0 and told["oracle"]["accuracy"] >= told["adapted"]["accuracy"]
    starts = [epoch.target["score"] for epoch in looked if epoch.epoch == 0 and epoch.phase in methods]
    assert starts == pytest.approx([starts[0]] * 5), "alternatives start from the same weights"


@pytest.mark.slow
def test_the_score_chooses_among_strengths(domains, tmp_path, tensorflow):
    run, metrics = adapted(Adversarial(method="mcc", strength=(0.01, 3.0, 3.0), **QUICK), domains, tmp_path / "run")
    looked = [epoch for epoch in run.work.history.epochs if epoch.target]
    assert [slot.phase.name for slot in run.work.slots][-2:] == ["mcc-0.01", "mcc-3"]
    ramps = {epoch.phase: epoch.terms["ramp"] for epoch in looked if "ramp" in epoch.terms}
    assert ramps["mcc-3"] == pytest.approx(300 * ramps["mcc-0.01"])
    assert metrics["adaptation"]["adapted"]["score"] == max(epoch.target["score"] for epoch in looked)


@pytest.mark.slow
def test_adapting_that_the_score_never_likes_ends_with_the_source_only_model(domains, tmp_path, tensorflow, monkeypatch):
    from tlapp.engine.training import feeds, score

    count = [0]

    def worse(*arguments):
        count[0] += 1
        found = score.look(*arguments)
        return found._replace(terms={**found.terms, "score": 1.0 / count[0]})

    monkeypatch.setattr(feeds, "look", worse)
    said = []
    monkeypatch.setattr("tlapp.engine.report.Silent.note", lambda self, sentence: said.append(sentence))
    _, metrics = adapted(SelfTraining(rounds=2, **QUICK), domains, tmp_path / "run")
    told = metrics["adaptation"]
    assert not told["helped"] and told["adapted"] == told["source_only"] and told["source_only"]["phase"] == "simple-target"
    assert metrics["target"]["accuracy"] == told["source_only"]["accuracy"]
    assert any("best before phase simple-target; that model is kept" in sentence for sentence in said)


@pytest.mark.slow
def test_statistics_that_the_score_does_not_like_are_undone(domains, tmp_path, tensorflow, monkeypatch):
    scored(monkeypatch, target_statistics={0: 0.3, 1: 0.5}, adabn={0: 0.5, 1: 0.4})
    run, metrics = adapted(Adversarial(method="adabn", **QUICK), domains, tmp_path / "run")
    assert metrics["adaptation"]["adapted"]["phase"] == "target-statistics" and metrics["adaptation"]["adapted"]["epoch"] == 1
    before = TinyBackbones().load("tiny").graph.get_layer("stem_norm")
    assert np.array_equal(run.work.graph.get_layer("stem_norm").moving_mean, before.moving_mean)
    kept = [epoch.answers for epoch in run.work.history.epochs if (epoch.phase, epoch.epoch) == ("target-statistics", 1)]
    assert np.array_equal(answers(run), kept[0])


@pytest.mark.slow
def test_alternatives_look_for_the_front_that_they_start_from(domains, tmp_path, tensorflow, monkeypatch):
    """Not for that of the best so far: the whole network's statistics are anew there, and all pictures would pass it in vain."""
    from tlapp.engine.network.activations import Remembered
    from tlapp.engine.training.phases import Phases

    scored(monkeypatch, adabn={1: 0.9})
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    compute, ready, fall_back, now, computed = Remembered._compute, Phases.ready, Phases.fall_back, [""], []

    def noted(self, *arguments):
        computed.append(now[0])
        return compute(self, *arguments)

    def begun(self, number):
        now[0] = self.slots[number].phase.name
        return ready(self, number)

    def ended(self):
        now[0] = "the end"
        return fall_back(self)

    for kind, name, patch in ((Remembered, "_compute", noted), (Phases, "ready", begun), (Phases, "fall_back", ended)):
        monkeypatch.setattr(kind, name, patch)
    adapted(Adversarial(**{**QUICK, "epochs": 1}, style="none"), domains, tmp_path / "run")
    assert "simple-statistics" in computed and not {"coral", "mcc", "cdan", "dann"} & set(computed)


class Breaks(Strategy):
    """An adaptation whose loss is no number, or whose answers become one class."""

    how: str = "nan"

    def plan(self, task, backbone):
        def loss(net, batches):
            import keras

            value = net.task_loss(batches["train"])
            if self.how == "nan":
                return {"bad": value * keras.ops.log(-1.0)}
            outputs = net.head(net.features(batches["target"].x))
            return {"bad": 0.0 * value - 1e3 * keras.ops.mean(outputs[:, 0]) + 1e3 * keras.ops.mean(outputs[:, 1:])}

        warm = Fit(name="warm", rates=backbone.frozen(), epochs=3, learning_rate=1e-2)
        bad = {"streams": ("train", "target"), "loss": loss, "select": "target", "rates": backbone.frozen()}
        return Plan((warm, Fit(name="adapt", epochs=30, learning_rate=1.0, **bad)))


@pytest.mark.parametrize("how", ["nan", "one class"])
def test_an_adaptation_that_breaks_falls_back_to_the_source(how, domains, tmp_path, tensorflow, monkeypatch):
    said = []
    monkeypatch.setattr("tlapp.engine.report.Silent.note", lambda self, sentence: said.append(sentence))
    _, metrics = adapted(Breaks(how=how), domains, tmp_path / "run", patience=100)
    told = metrics["adaptation"]
    assert told["adapted"]["epoch"] == 0 and not told["helped"]
    assert metrics["target"]["accuracy"] == told["source_only"]["accuracy"]
    cause = {"nan": "no longer a finite number", "one class": "to one class"}[how]
    assert any("phase adapt: stopped" in sentence and cause in sentence for sentence in said)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"select": "best"}, "select must be one of val, accuracy, last, target"),
    ],
)
def test_a_plan_that_selects_wrongly_is_refused(change, sentence, domains, tmp_path, tensorflow):
    class Wrong(Strategy):
        """Selects wrongly."""

        def plan(self, task, backbone):
            return Plan((Fit(name="one", rates=backbone.frozen(), epochs=1, learning_rate=1e-3, **change),))

    with pytest.raises(PluginError, match=sentence):
        adapted(Wrong(), domains, tmp_path / "run")


def test_without_a_target_it_is_asked_for(domains, tmp_path, tensorflow):
    with pytest.raises(UserError, match="set option target to a folder or CSV"):
        tiny_run(AugmentAdapt(**QUICK), domains[0], tmp_path / "run")


def test_the_result_says_whether_it_helped():
    from tlapp.cli.result import adaptation_line

    before, after = ({"phase": "mcc", "epoch": e, "score": s, "accuracy": a} for e, s, a in ((0, 0.3, 0.4), (2, 0.5, 0.6)))
    helped = adaptation_line({"helped": True, "source_only": before, "adapted": after, "oracle": after})
    assert helped.startswith("adapted: mcc, epoch 2; score 0.500, accuracy 0.6000; source-only 0.300, accuracy 0.4000")
    assert "source-only model was the best" in adaptation_line({"helped": False, "source_only": before, "adapted": before})
    gap = adaptation_line({"helped": False, "source_only": before, "adapted": before, "oracle": after})
    assert gap.endswith("and it is kept; the labels would have chosen accuracy 0.6000")
