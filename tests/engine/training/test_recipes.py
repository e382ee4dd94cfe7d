"""What recipes for few data need: the choice of the weights, start weights, averages, blends, a net of few names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tlapp.contracts import Augment, Blend, Field, Fit, Guide, OneOf, Plan, PluginError, Strategy
from tlapp.engine.check import make_plan
from tlapp.engine.report import Silent
from tlapp.engine.run import Run
from tlapp.testing import tiny_run
from tlapp.testing.anatomy import TASK, backbone


class Tunes(Strategy):
    """Train the last stage with what the tests ask for."""

    fit: dict[str, Any] = Field({}, description="of the phase")
    after: tuple[Any, ...] = Field((), description="makers of further phases")

    def plan(self, task, backbone):
        tune = Fit(**{"name": "tune", "rates": backbone.last(1), "epochs": 3, "learning_rate": 1e-2, **self.fit})
        return Plan((tune, *(make(backbone) for make in self.after)))


def kernel(run):
    return run.backbone.graph.get_layer("top_conv").kernel.numpy()


def lines(run, phase="tune"):
    return [epoch for epoch in run.work.history.epochs if epoch.phase == phase]


def notes_of(monkeypatch):
    notes = []
    monkeypatch.setattr(Silent, "note", lambda self, sentence: notes.append(sentence))
    return notes


def ignores_the_head(net, batch):
    """Trains features apart from the head, so that the head's loss on val rises."""
    import keras

    return {"loss": -keras.ops.mean(net.features(batch["train"].x) ** 2) - 0 * net.task_loss(batch["train"])}


def test_a_phase_that_changes_nothing_says_so(shapes, tmp_path, monkeypatch, tensorflow):
    notes = notes_of(monkeypatch)
    run = tiny_run(Tunes(fit={"loss": ignores_the_head, "learning_rate": 0.1}), shapes, tmp_path / "run")
    assert any("phase tune: no epoch has a lower loss on val" in note for note in notes), notes
    assert not any(epoch.best for epoch in lines(run))


def test_a_phase_that_learns_says_nothing(shapes, tmp_path, monkeypatch, tensorflow):
    notes = notes_of(monkeypatch)
    tiny_run(Tunes(), shapes, tmp_path / "run")
    assert not any("no epoch" in note for note in notes)


def test_the_last_weights_are_kept_where_the_phase_says_so(shapes, tmp_path, tensorflow):
    fit = {"loss": ignores_the_head, "learning_rate": 0.1, "select": "last", "epochs": 5}
    run = tiny_run(Tunes(fit=fit), shapes, tmp_path / "run", patience=1)
    assert [epoch.best for epoch in lines(run)] == [True] * 5  # and patience does not end it


def test_the_best_accuracy_is_kept_where_the_phase_says_so(shapes, tmp_path, tensorflow):
    run = tiny_run(Tunes(fit={"select": "accuracy", "epochs": 6}), shapes, tmp_path / "run")
    seen = [epoch.validation["accuracy"] for epoch in lines(run)]
    kept = run.work.streams.metrics(*run.work.last(), "val")["accuracy"]
    assert kept == pytest.approx(max(seen))
    best = [epoch.validation["accuracy"] for epoch in lines(run) if epoch.best]
    assert best == sorted(set(best))  # an equal accuracy is no better one


def test_alternatives_need_a_measure():
    rivals = OneOf(phases=(Fit(name="a", rates=backbone(3).frozen(), epochs=1, learning_rate=1e-3),), select="last")

    class Plans(Strategy):
        def plan(self, task, backbone):
            return Plan((rivals,))

    with pytest.raises(PluginError, match="a OneOf compares its alternatives"):
        make_plan(Plans(), TASK, backbone(3))


def pulled(net, batch):
    """L2-SP (Li et al. 2018, https://arxiv.org/abs/1802.01483), so strong that nothing moves far."""
    import keras

    pull = sum(keras.ops.sum((w.value - w.start) ** 2) for w in net.weights() if not w.path.startswith("head/"))
    return {"loss": net.task_loss(batch["train"]), "pull": 1e3 * pull}


def test_weights_are_pulled_towards_those_that_the_phase_began_with(shapes, tmp_path, tensorflow):
    free = tiny_run(Tunes(fit={"select": "last"}), shapes, tmp_path / "free")
    near = tiny_run(Tunes(fit={"select": "last", "loss": pulled}), shapes, tmp_path / "near")
    start = free.backbone.graph.get_layer("stem_conv").kernel.numpy()  # frozen: the same in both
    assert np.array_equal(start, near.backbone.graph.get_layer("stem_conv").kernel.numpy())
    from tlapp.testing import TinyBackbones

    begin = TinyBackbones().load("tiny").graph.get_layer("top_conv").kernel.numpy()
    assert np.abs(kernel(near) - begin).max() < 0.2 * np.abs(kernel(free) - begin).max()
    assert lines(near)[0].terms["pull"] >= 0


def listed(net, batch):
    paths = [weight.path for weight in net.weights()]
    assert paths == ["top_conv/kernel", "head/kernel", "head/bias"], paths
    assert not any(hasattr(net, name) for name in ("variables", "trainable", "layer", "state", "cut", "parts"))
    return {"loss": net.task_loss(batch["train"])}


def test_a_loss_sees_the_documented_names_only(shapes, tmp_path, tensorflow):
    tiny_run(Tunes(fit={"loss": listed, "epochs": 1}), shapes, tmp_path / "run")


def inner_step(net, batch):
    """One step of MAML's inner loop (Finn et al. 2017, https://arxiv.org/abs/1703.03400) on the head, then the loss after it."""
    import keras
    import tensorflow as tf

    train = batch["train"]
    features = net.features(train.x)
    head = {w.path: w.value for w in net.weights() if w.path.startswith("head/")}
    with tf.GradientTape() as tape:
        tape.watch([*head.values()])
        inner = keras.ops.mean(keras.losses.categorical_crossentropy(train.y, net.head(features, head), from_logits=True))
    moved = {path: head[path] - 0.5 * step for path, step in zip(head, tape.gradient(inner, [*head.values()]), strict=True)}
    outer = keras.ops.mean(keras.losses.categorical_crossentropy(train.y, net.head(features, moved), from_logits=True))
    return {"loss": outer, "inner": keras.ops.stop_gradient(inner - outer)}


def test_a_loss_may_ask_for_outputs_of_other_weights(shapes, tmp_path, tensorflow):
    run = tiny_run(Tunes(fit={"loss": inner_step, "select": "last"}), shapes, tmp_path / "run")
    assert all(epoch.terms["inner"] > 0 for epoch in lines(run))  # the inner step lowers the loss
    assert lines(run)[-1].terms["loss"] < lines(run)[0].terms["loss"]


def test_other_weights_must_be_some_that_train(shapes, tmp_path, tensorflow):
    def wrong(net, batch):
        return {"loss": net.head(net.features(batch["train"].x), {"head/kernal": 0})}

    with pytest.raises(PluginError, match=r"no weight head/kernal that trains \(did you mean head/kernel\?\)"):
        tiny_run(Tunes(fit={"loss": wrong}), shapes, tmp_path / "run")


def test_the_moving_average_is_what_is_judged_and_kept(shapes, tmp_path, tensorflow):
    """With so slow an average, the kept weights are hardly further than the first step, with which it begins."""
    from tlapp.testing import TinyBackbones

    begin = TinyBackbones().load("tiny").graph.get_layer("top_conv").kernel.numpy()
    raw = tiny_run(Tunes(fit={"select": "last"}), shapes, tmp_path / "raw")
    slow = tiny_run(Tunes(fit={"select": "last", "average": 0.999}), shapes, tmp_path / "slow")
    moved, averaged = np.abs(kernel(raw) - begin).max(), np.abs(kernel(slow) - begin).max()
    assert 0 < averaged < 0.25 * moved
    assert [e.terms for e in lines(raw)] == [e.terms for e in lines(slow)]  # training itself goes on from the raw weights
    assert lines(raw)[-1].validation != lines(slow)[-1].validation
    kept = slow.work.streams.metrics(*slow.work.last(), "val")["loss"]
    assert kept == pytest.approx(lines(slow)[-1].validation["loss"], abs=1e-5)


def taught(net, batch):
    """A mean teacher (Tarvainen & Valpola 2017, https://arxiv.org/abs/1703.01780)."""
    import keras

    x = batch["train"].x
    gap = keras.ops.mean((net.head(net.features(x)) - net.average(x)) ** 2)
    return {"loss": net.task_loss(batch["train"]), "gap": gap}


def test_the_average_can_be_asked_in_a_loss(shapes, tmp_path, tensorflow):
    run = tiny_run(Tunes(fit={"loss": taught, "average": 0.9}), shapes, tmp_path / "run")
    assert lines(run)[-1].terms["gap"] > 0
    with pytest.raises(PluginError, match="needs a phase that keeps a moving average"):
        tiny_run(Tunes(fit={"loss": taught}), shapes, tmp_path / "without")


def blend(name="blend", since="tune", last=1, **more):
    return lambda backbone: Blend(name=name, since=since, rates=backbone.last(last), **more)


def test_of_the_weights_between_start_and_end_val_s_best_are_kept(shapes, tmp_path, tensorflow):
    """Six epochs at a rate that overshoots: some blend is better than the end, and it is kept."""
    fit = {"select": "last", "learning_rate": 0.3, "epochs": 2}
    run = tiny_run(Tunes(fit=fit, after=(blend(steps=5),)), shapes, tmp_path / "run")
    tried = lines(run, "blend")
    assert [round(each.terms["share"], 6) for each in tried] == [0.8, 0.6, 0.4, 0.2, 0.0]
    losses = [lines(run)[-1].validation["loss"], *(each.validation["loss"] for each in tried)]
    kept = run.work.streams.metrics(*run.work.last(), "val")["loss"]
    assert kept == pytest.approx(min(losses), abs=1e-5) and min(losses) < losses[0]


def test_a_blend_with_the_start_is_the_start(shapes, tmp_path, tensorflow):
    from tlapp.testing import TinyBackbones

    begin = TinyBackbones().load("tiny").graph.get_layer("top_conv").kernel.numpy()
    fit = {"select": "last", "loss": ignores_the_head, "learning_rate": 1.0}  # makes val worse all the way
    run = tiny_run(Tunes(fit=fit, after=(blend(steps=2),)), shapes, tmp_path / "run")
    assert np.allclose(kernel(run), begin, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (blend(since="warm-up"), r"since must name an earlier phase \(tune\). Received: warm-up"),
        (lambda b: Blend(name="blend", since="tune", rates=b.frozen()), "has trained since phase tune, so that its rate must be"),
        (blend(steps=0), "steps must be at least 1. Received: 0"),
    ],
)
def test_a_blend_that_cannot_be_is_told(make, words):
    with pytest.raises(PluginError, match=words):
        make_plan(Tunes(after=(make,)), TASK, backbone(3))


def test_an_average_of_one_is_none():
    with pytest.raises(PluginError, match=r"average must be from 0 to below 1. Received: 1"):
        make_plan(Tunes(fit={"average": 1.0}), TASK, backbone(3))


class Stops(Silent):
    """Presses Ctrl-C at an epoch."""

    def __init__(self, phase, epoch):
        self._at = (phase, epoch)

    def epoch(self, epoch):
        if (epoch.phase, epoch.epoch) == self._at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [("tune", 2), ("blend", 2)])
def test_start_weights_averages_and_blends_resume_to_the_bit(at, shapes, tmp_path, tensorflow):
    strategy = Tunes(fit={"loss": pulled, "average": 0.9, "select": "last"}, after=(blend(steps=3),))
    whole = tiny_run(strategy, shapes, tmp_path / "whole")
    options = whole.job.options.model_copy(update={"run": str(tmp_path / "cut")})
    stopped = Run(replace(whole.job, options=options), Stops(*at))
    stopped.load()
    stopped.prepare()
    stopped.begin()
    with pytest.raises(KeyboardInterrupt):
        stopped.work.carry_out()
    stopped.work.save_state()
    stopped.release()
    again = Run(stopped.job, Silent(), resume=True)
    again.load()
    again.prepare()
    again.begin()
    again.work.carry_out()
    again.finish()
    for a, b in zip(whole.work.model().weights, again.work.model().weights, strict=True):
        assert np.array_equal(a, b)
    assert (tmp_path / "whole" / "history.csv").read_text() == (tmp_path / "cut" / "history.csv").read_text()


class Remembers:
    """A guide that says an example's mean, and remembers how many it was asked about."""

    def __init__(self):
        self.asked = 0

    def __call__(self, x):
        self.asked += len(x)
        return np.asarray(x).mean(axis=(1, 2, 3))[:, None] / 255


def guided(net, batch):
    import keras

    train = batch["train"]
    features = net.features(train.x)
    means = train.guides["mean"]
    keras.ops.cast(train.rows, "float32")
    return {"loss": net.task_loss(train, net.head(features)), "mean": keras.ops.stop_gradient(keras.ops.mean(means))}


@pytest.mark.parametrize(("views", "asked"), [(0, 1), (2, 2)])
def test_a_guide_is_asked_once_an_example_and_copy(views, asked, shapes, tmp_path, tensorflow):
    guide = Remembers()
    augment = {"augment": Augment(darker, views=views, name=f"darker-{views}")} if views else {}
    fit = {"loss": guided, "guides": {"mean": Guide(guide)}, "select": "last", **augment}
    run = tiny_run(Tunes(fit=fit), shapes, tmp_path / "run")
    count = len(run.dataset.streams["train"])
    assert guide.asked == asked * count
    rows = run.dataset.streams["train"].examples.take(np.arange(count))[0]
    means = {1: rows.mean() / 255, 2: rows.mean() / 255 / 2}
    seen = np.mean([epoch.terms["mean"] for epoch in lines(run)])
    assert seen == pytest.approx(means[asked], rel=0.1)  # batches leave a rest out


def darker(pictures, seed, copy=0):
    return pictures / 2


def test_what_a_guide_says_is_kept_from_run_to_run_under_its_key(shapes, tmp_path, tensorflow):
    first, second, other = Remembers(), Remembers(), Remembers()
    for number, (guide, key) in enumerate(((first, "means"), (second, "means"), (other, "other"))):
        fit = {"loss": guided, "guides": {"mean": Guide(guide, key)}, "epochs": 1}
        tiny_run(Tunes(fit=fit), shapes, tmp_path / str(number))
    assert first.asked == other.asked > 0 == second.asked


def test_a_guide_that_says_too_little_is_told(shapes, tmp_path, tensorflow):
    fit = {"loss": guided, "guides": {"mean": Guide(lambda x: 1.0)}}
    with pytest.raises(PluginError, match=r"guide mean must give finite numbers \(\d+, ...\), a row an example. Received: 1.0"):
        tiny_run(Tunes(fit=fit), shapes, tmp_path / "run")
