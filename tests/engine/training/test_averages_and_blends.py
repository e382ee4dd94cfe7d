"""Moving averages of the weights, and blends of them with those that a phase began with."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.one_phase import Tunes, kernel, lines, untrained_kernel

from tlapp.contracts import Blend, PluginError
from tlapp.engine.check import make_plan
from tlapp.testing import tiny_run
from tlapp.testing.anatomy import TASK, backbone


def test_the_moving_average_is_what_is_judged_and_kept(shapes, tmp_path, tensorflow):
    """With so slow an average, the kept weights are hardly further than the first step, with which it begins."""
    begin = untrained_kernel()
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


def worse(net, batch):
    """Trains features apart from the head, so that the loss on val rises all the way."""
    import keras

    return {"loss": -keras.ops.mean(net.features(batch["train"].x) ** 2) - 0 * net.task_loss(batch["train"])}


def test_a_blend_with_the_start_is_the_start(shapes, tmp_path, tensorflow):
    begin = untrained_kernel()
    fit = {"select": "last", "loss": worse, "learning_rate": 1.0}  # makes val worse all the way
    run = tiny_run(Tunes(fit=fit, after=(blend(steps=2),)), shapes, tmp_path / "run")
    assert np.allclose(kernel(run), begin, atol=1e-6)


def test_a_blend_that_nothing_selects_goes_back_though_val_likes_the_end_better(shapes, tmp_path, tensorflow):
    run = tiny_run(Tunes(after=(blend(steps=1, select="last"),)), shapes, tmp_path / "run")
    losses = [each.validation["loss"] for each in lines(run)]
    assert losses[-1] < losses[0] and np.array_equal(kernel(run), untrained_kernel()) and not lines(run, "blend")
    assert "the weights go back to those that phase tune began with" in (tmp_path / "run" / "plan.json").read_text()


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
