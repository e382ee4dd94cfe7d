"""Adapting to a target without its labels: the losses, what selects, and what is never looked at."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tlapp_plugins.adversarial import Adversarial
from tlapp_plugins.augment_adapt import AugmentAdapt
from tlapp_plugins.self_supervised import SelfSupervised
from tlapp_plugins.self_training import SelfTraining
from tlapp_plugins.shared import domain_losses

from tlapp.contracts import Fit, Plan, PluginError, Statistics, Strategy, UserError
from tlapp.testing import TinyBackbones, pictures, tiny_run

QUICK = {"warmup": 2, "source_epochs": 2, "epochs": 2, "last": 1}


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    """Pictures, and darkened ones of the same classes."""
    folder = tmp_path_factory.mktemp("domains")
    source = pictures(folder / "source", each=16)
    target = pictures(folder / "target", each=12, seed=9)
    for path in target.rglob("*.png"):
        Image.fromarray((np.asarray(Image.open(path)) * 0.5 + 90).astype(np.uint8)).save(path)
    return source, target


def adapted(strategy, domains, folder, **options):
    source, target = domains
    run = tiny_run(strategy, source, folder, **{"target": str(target), "seed": 1, **options})
    return run, json.loads((folder / "metrics.json").read_text())


STRATEGIES = {
    "adversarial": Adversarial(**QUICK),
    "dann": Adversarial(method="dann", **QUICK),
    "self-training": SelfTraining(rounds=2, **QUICK),
    "augment-adapt": AugmentAdapt(views=2, **QUICK),
    "self-supervised": SelfSupervised(views=2, pretrain_epochs=2, **QUICK),
    "self-training, restyled": SelfTraining(rounds=2, style="mixed", views=2, **QUICK),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "adversarial" else []) for name in STRATEGIES]
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


def test_what_the_score_says_is_best_is_what_is_kept(domains, tmp_path, tensorflow):
    run, metrics = adapted(Adversarial(**QUICK), domains, tmp_path / "run")
    told = metrics["adaptation"]
    looked = [epoch for epoch in run.work.history if epoch.target]
    assert {epoch.phase for epoch in looked} == {"target-statistics", "adabn", "coral", "mcc", "cdan", "dann"}
    best = max(looked, key=lambda epoch: epoch.target["score"])
    assert (told["adapted"]["phase"], told["adapted"]["epoch"]) == (best.phase, best.epoch)
    labels = run.dataset.streams["target"].labels
    assert metrics["target"]["accuracy"] == pytest.approx(np.mean(best.said == labels))
    assert told["source_only"]["epoch"] == 0 and told["oracle"]["accuracy"] >= told["adapted"]["accuracy"]
    starts = [epoch.target["score"] for epoch in looked if epoch.epoch == 0][1:]
    assert starts == pytest.approx([starts[0]] * 5), "alternatives start from the same weights"


def test_the_score_chooses_among_strengths(domains, tmp_path, tensorflow):
    run, metrics = adapted(Adversarial(method="mcc", strength=(0.01, 3.0, 3.0), **QUICK), domains, tmp_path / "run")
    looked = [epoch for epoch in run.work.history if epoch.target]
    assert [phase.name for phase in run.work.phases][-2:] == ["mcc-0.01", "mcc-3"]
    ramps = {epoch.phase: epoch.terms["ramp"] for epoch in looked if "ramp" in epoch.terms}
    assert ramps["mcc-3"] == pytest.approx(300 * ramps["mcc-0.01"])
    assert metrics["adaptation"]["adapted"]["score"] == max(epoch.target["score"] for epoch in looked)


def test_adapting_that_the_score_never_likes_ends_with_the_source_only_model(domains, tmp_path, tensorflow, monkeypatch):
    from tlapp.engine.training import score, streams

    count = [0]

    def worse(*arguments):
        count[0] += 1
        found = score.look(*arguments)
        return found._replace(terms={**found.terms, "score": 1.0 / count[0]})

    monkeypatch.setattr(streams, "look", worse)
    said = []
    monkeypatch.setattr("tlapp.engine.report.Silent.note", lambda self, sentence: said.append(sentence))
    _, metrics = adapted(SelfTraining(rounds=2, **QUICK), domains, tmp_path / "run")
    told = metrics["adaptation"]
    assert not told["helped"] and told["adapted"] == told["source_only"] and told["source_only"]["phase"] == "target-statistics"
    assert metrics["target"]["accuracy"] == told["source_only"]["accuracy"]
    assert any("best before phase target-statistics; the model as it then was is kept" in sentence for sentence in said)


def scored(monkeypatch, **scores):
    """Let the score of a phase's epochs be what is given, and 0.1 where nothing is; "-" in a phase's name is "_" here."""
    from tlapp.engine.training.streams import Streams

    judge = Streams.judge

    def patched(self, net, where, phase):
        line, told = judge(self, net, where, phase), scores.get(phase.name.replace("-", "_"), {})

        def scored_line(epoch):
            found = line(epoch)
            return found._replace(target={**found.target, "score": told.get(epoch, 0.1)}) if found.target else found

        return scored_line

    monkeypatch.setattr(Streams, "judge", patched)


def answers(run, model=None):
    stream, model = run.dataset.streams["target"], model or run.work.model()
    return np.argmax(model.predict(stream.pixels.take(np.arange(len(stream))), verbose=0), axis=1)


def test_statistics_that_the_score_does_not_like_are_undone(domains, tmp_path, tensorflow, monkeypatch):
    scored(monkeypatch, target_statistics={0: 0.3, 1: 0.5}, adabn={0: 0.5, 1: 0.4})
    run, metrics = adapted(Adversarial(method="adabn", **QUICK), domains, tmp_path / "run")
    assert metrics["adaptation"]["adapted"]["phase"] == "target-statistics" and metrics["adaptation"]["adapted"]["epoch"] == 1
    before = TinyBackbones().load("tiny").graph.get_layer("stem_norm")
    assert np.array_equal(run.work.graph.get_layer("stem_norm").moving_mean, before.moving_mean)
    kept = [epoch.said for epoch in run.work.history if (epoch.phase, epoch.epoch) == ("target-statistics", 1)]
    assert np.array_equal(answers(run), kept[0])


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
    kept = [epoch.said for epoch in run.work.history if (epoch.phase, epoch.epoch) == ("target-statistics", 1)]
    assert np.array_equal(answers(run), kept[0]) and whole["target"]["accuracy"] == told["adapted"]["accuracy"]
    assert sum("best after phase target-statistics; the model as it then was is kept" in sentence for sentence in said) == 1

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


def test_alternatives_look_for_the_front_that_they_start_from(domains, tmp_path, tensorflow, monkeypatch):
    """Not for that of the best so far: the whole network's statistics are anew there, and all pictures would pass it in vain."""
    from tlapp.engine.network.activations import Remembered
    from tlapp.engine.training.phases import Phases

    scored(monkeypatch, adabn={1: 0.9})
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    compute, ready, fall_back, now, computed = Remembered._compute, Phases._ready, Phases._fall_back, [""], []

    def noted(self, *arguments):
        computed.append(now[0])
        return compute(self, *arguments)

    def begun(self, number):
        now[0] = self.phases[number].name
        return ready(self, number)

    def ended(self):
        now[0] = "the end"
        return fall_back(self)

    for kind, name, patch in ((Remembered, "_compute", noted), (Phases, "_ready", begun), (Phases, "_fall_back", ended)):
        monkeypatch.setattr(kind, name, patch)
    adapted(Adversarial(**{**QUICK, "epochs": 1}, style="none"), domains, tmp_path / "run")
    assert "source-statistics" in computed and not {"coral", "mcc", "cdan", "dann"} & set(computed)


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
    kept = min(epoch.validation["loss"] for epoch in run.work.history if epoch.phase == "tune")
    assert metrics["val"]["loss"] == pytest.approx(kept, rel=1e-3)
    assert not any("is kept" in sentence for sentence in said)


@pytest.mark.parametrize("style", ["adain", "mixstyle", "mixup", "cutmix"])
def test_styles_at_the_cut_train(style, domains, tmp_path, tensorflow):
    run, metrics = adapted(AugmentAdapt(style=style, **QUICK), domains, tmp_path / "run")
    assert run.outline.phases[-1].front == "cached" and np.isfinite(metrics["test"]["loss"])
    assert [epoch.epoch for epoch in run.work.history if epoch.phase == "adapt"] == [0, 1, 2]


def test_styles_at_the_cut_need_a_stage(domains, tmp_path, tensorflow):
    with pytest.raises(UserError, match="--last 0 trains no stage, and --style mixup"):
        adapted(AugmentAdapt(style="mixup", **{**QUICK, "last": 0}), domains, tmp_path / "run")


def test_pretraining_needs_a_stage(domains, tmp_path, tensorflow):
    with pytest.raises(UserError, match="--last 0 trains no stage, so that pictures without labels teach it nothing"):
        adapted(SelfSupervised(**{**QUICK, "last": 0}), domains, tmp_path / "run")


@pytest.mark.parametrize("method", ["simsiam", "rotation"])
def test_other_pretexts_learn(method, domains, tmp_path, tensorflow):
    options = {**QUICK, "method": method, "pretrain_epochs": 8, "learning_rate": 3e-3}
    run, _ = adapted(SelfSupervised(views=2, **options), domains, tmp_path / "run")
    losses = [epoch.terms[method] for epoch in run.work.history if epoch.phase == "pretrain"]
    assert losses[-1] < losses[0] - 0.02


def test_turned_copies_come_in_order_cached_or_not(domains, tmp_path, tensorflow):
    from tlapp_plugins.self_supervised import TURNS, rotated

    from tlapp.contracts import Augment
    from tlapp.engine.network.front import Front

    run, _ = adapted(SelfSupervised(method="rotation", pretrain_epochs=1, **QUICK), domains, tmp_path / "run")
    number = [phase.name for phase in run.work.phases].index("pretrain")
    where, stream, remembered = run.work.cuts[number], run.dataset.streams["target"], run.work.streams.remembered
    front, pixels = Front(remembered.graph, where.boundary), stream.pixels.take(np.arange(5))
    augment = Augment(rotated, TURNS, "rotated", per_step=TURNS)
    for use in ("auto", "off"):
        remembered.use = use
        source = remembered.source(where, stream.pixels.numbers, augment)
        for turn in range(TURNS):
            expected = front(np.rot90(pixels, turn, axes=(1, 2)))[0]
            assert np.allclose(source.take(np.arange(5), 8 + turn)[0], expected, atol=1e-4)


def test_the_ramp_and_with_it_the_reversal_move_within_a_phase(domains, tmp_path, tensorflow):
    run, _ = adapted(Adversarial(method="dann", **{**QUICK, "epochs": 4}), domains, tmp_path / "run", patience=50)
    ramps = [epoch.terms["ramp"] for epoch in run.work.history if epoch.phase == "dann" and epoch.epoch]
    assert ramps == sorted(ramps) and ramps[0] < 0.6 < ramps[-1]


class Shifted(Strategy):
    """Trains the last stage on the source, with a domain classifier that is or is not reversed."""

    reverses: bool = True

    def plan(self, task, backbone):
        def loss(net, batches):
            seen = [net.features(batches[name].x) for name in ("train", "target")]
            seen = [domain_losses.reverse(each, 1.0 if self.reverses else 0.0) for each in seen]
            said = [net.part("domain")(each) for each in seen]
            terms = {"loss": net.task_loss(batches["train"]), "domain": domain_losses.domain_loss(*said)}
            return {**terms, "domain_accuracy": domain_losses.domain_accuracy(*said)}

        from tlapp_plugins.adversarial import Classifier

        phase = {"rates": backbone.last(2), "streams": ("train", "target"), "loss": loss, "parts": {"domain": Classifier(16)}}
        return Plan((Fit(name="shift", epochs=25, learning_rate=3e-3, **phase),))


def test_reversing_lowers_the_domain_accuracy(domains, tmp_path, tensorflow):
    found = {}
    for reverses in (True, False):
        run, _ = adapted(Shifted(reverses=reverses), domains, tmp_path / str(reverses), patience=100)
        found[reverses] = np.mean([epoch.terms["domain_accuracy"] for epoch in run.work.history[-5:]])
    assert found[False] > 0.95 and found[True] < found[False] - 0.1


class Renew(Strategy):
    """Takes the statistics of every batch norm from the target."""

    def plan(self, task, backbone):
        warm = Fit(name="warm", rates=backbone.frozen(), epochs=1, learning_rate=1e-3)
        return Plan((warm, Statistics(name="renew", rates=backbone.all(), streams=("target",))))


def test_statistics_are_those_of_the_pictures(domains, tmp_path, tensorflow):
    import keras

    run, _ = adapted(Renew(), domains, tmp_path / "run")
    stream = run.dataset.streams["target"]
    taps = keras.Model(run.work.graph.inputs, run.work.graph.get_layer("stem_conv").output)
    seen = np.asarray(taps(stream.pixels.take(np.arange(len(stream))).astype(np.float32)))
    norm = run.work.graph.get_layer("stem_norm")
    assert np.allclose(norm.moving_mean, seen.mean(axis=(0, 1, 2)), atol=1e-3)
    assert np.allclose(norm.moving_variance, seen.var(axis=(0, 1, 2)), rtol=1e-3)


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
    cause = {"nan": "no longer a finite number", "one class": "of one class"}[how]
    assert any("phase adapt: stopped" in sentence and cause in sentence for sentence in said)


@pytest.mark.parametrize(
    ("name", "at"), [("adversarial", 34), ("self-training", 25), ("self-supervised", 26), ("self-supervised", 34)]
)
def test_stopped_and_resumed_ends_the_same(name, at, domains, tmp_path, tensorflow, monkeypatch):
    """Blocks of one step, so that `at` counts steps and ends of epochs."""
    from tlapp.engine.report import Silent
    from tlapp.engine.run import Interrupted, train
    from tlapp.engine.training import steps

    monkeypatch.setattr(steps, "BLOCK_BYTES", 1)
    expected, _ = adapted(STRATEGIES[name], domains, tmp_path / "whole")
    count, phases = [0], {phase.name for phase in expected.work.phases}

    class Stop(Silent):
        def progress(self, task, done, of):
            count[0] += task in phases
            if count[0] == at:
                raise KeyboardInterrupt

    options = expected.job.options.model_copy(update={"run": str(tmp_path / "cut")})
    job = replace(expected.job, options=options, settings=options.model_dump(mode="json"))
    with pytest.raises(Interrupted):
        train(job, Stop())
    assert not (tmp_path / "cut" / "metrics.json").exists()
    train(job, Silent(), resume=True)
    assert (tmp_path / "cut" / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()
    whole, cut = (json.loads((tmp_path / each / "metrics.json").read_text()) for each in ("whole", "cut"))
    assert all(whole[key] == cut[key] for key in ("val", "test", "target")) and whole.get("adaptation") == cut.get("adaptation")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"alternative": True}, 'an alternative needs select="target"'),
        ({"select": "best"}, "select must be one of val, target"),
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
    with pytest.raises(UserError, match="give --target a folder or CSV"):
        tiny_run(AugmentAdapt(**QUICK), domains[0], tmp_path / "run")


def test_the_result_says_whether_it_helped():
    from tlapp.cli.screen import adaptation_line

    before, after = ({"phase": "mcc", "epoch": e, "score": s, "accuracy": a} for e, s, a in ((0, 0.3, 0.4), (2, 0.5, 0.6)))
    helped = adaptation_line({"helped": True, "source_only": before, "adapted": after, "oracle": after})
    assert helped.startswith("adapted: mcc, epoch 2; score 0.500, accuracy 0.6000; source-only 0.300, accuracy 0.4000")
    assert "source-only model was the best" in adaptation_line({"helped": False, "source_only": before, "adapted": before})
    gap = adaptation_line({"helped": False, "source_only": before, "adapted": before, "oracle": after})
    assert gap.endswith("and it is kept; the labels would have chosen accuracy 0.6000")
