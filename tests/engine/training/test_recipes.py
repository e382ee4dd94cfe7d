"""What recipes for few data need: the choice of the weights, start weights, other weights, a net of few names."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.one_phase import Tunes, kernel, lines, untrained_kernel

from tlapp.contracts import Fit, OneOf, Plan, PluginError, Strategy
from tlapp.engine.check import make_plan
from tlapp.engine.report import Silent
from tlapp.engine.runs.history import Epoch
from tlapp.engine.training.selection import spoilt
from tlapp.testing import tiny_run
from tlapp.testing.anatomy import TASK, backbone


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
    run = tiny_run(Tunes(fit={"loss": ignores_the_head, "learning_rate": 0.1}), shapes, tmp_path / "run", patience=9)
    assert any("phase tune: no epoch has a lower loss on val" in note for note in notes), notes
    assert not any(epoch.best for epoch in lines(run))


def test_a_phase_that_learns_says_nothing(shapes, tmp_path, monkeypatch, tensorflow):
    notes = notes_of(monkeypatch)
    tiny_run(Tunes(), shapes, tmp_path / "run")
    assert not any("no epoch" in note for note in notes)


@pytest.mark.parametrize("patience", [None, 50])
def test_a_phase_ends_with_its_last_weights_or_after_patience_with_its_best(patience, shapes, tmp_path, tensorflow):
    run = tiny_run(
        Tunes(fit={"epochs": 6, "learning_rate": 0.02}), shapes, tmp_path / "run", patience=patience, schedule="constant"
    )
    seen = [epoch.validation["loss"] for epoch in lines(run)]
    kept = run.work.streams.metrics(*run.work.last(), "val")["loss"]
    assert min(seen) < seen[-1] and kept == pytest.approx(min(seen) if patience else seen[-1])
    assert lines(run)[-1].best == (patience is None)


def test_a_head_that_trains_alone_keeps_its_best(shapes, tmp_path, tensorflow):
    fit = {"rates": dict.fromkeys(("stem", "middle", "top"), 0.0), "epochs": 6, "learning_rate": 0.05}
    run = tiny_run(Tunes(fit=fit), shapes, tmp_path / "run", schedule="constant")
    seen = [epoch.validation["loss"] for epoch in lines(run)]
    kept = run.work.streams.metrics(*run.work.last(), "val")["loss"]
    assert min(seen) < seen[-1] and kept == pytest.approx(min(seen))


@pytest.mark.parametrize(
    ("loss", "accuracy", "expected"),
    [(0.9, 0.5, True), (0.55, 0.74, False), (0.55, 0.5, True), (0.9, 0.9, False), (0.4, 0.5, False), (0.9, 0.8, True)],
)
def test_what_is_spoilt_for_sure_is_not_kept(loss, accuracy, expected):
    first, last = (Epoch("tune", 1, {}, {"loss": a, "accuracy": b}, False) for a, b in ((0.5, 0.8), (loss, accuracy)))
    assert spoilt(first, last, 100) == expected


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
    begin = untrained_kernel()
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
    moved = {path: head[path] - 0.1 * step for path, step in zip(head, tape.gradient(inner, [*head.values()]), strict=True)}
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
