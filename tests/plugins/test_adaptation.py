"""Strategies that adapt: styles at the cut, pretraining without labels, and the reversed gradient."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.adaptation import QUICK, adapted
from tlapp_plugins.adversarial import Adversarial
from tlapp_plugins.augment_adapt import AugmentAdapt
from tlapp_plugins.self_supervised import SelfSupervised
from tlapp_plugins.shared import domain_losses
from tlapp_plugins.shared.mixing import LABELS, MIXES, STATISTICS, Mixed

from tlapp.contracts import Batch, Fit, Plan, Strategy, UserError


class FakeNet:
    """A net that remembers what the loss was given."""

    def __init__(self, style):
        self.mix = LABELS[style]() if style in LABELS else None

    def part(self, name):
        return self.mix

    def features(self, x):
        self.x = np.asarray(x)
        return x

    def head(self, features):
        return features

    def task_loss(self, batch, outputs):
        self.y = np.asarray(batch.y)
        return 0.0


@pytest.mark.slow
@pytest.mark.parametrize("style", MIXES)
def test_styles_change_what_crosses_the_cut(style, tensorflow):
    """Statistics move and labels stay, or images and labels are mixed."""
    import keras

    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (8, 6, 6, 4)).astype("float32") * np.arange(1, 9)[:, None, None, None].astype("float32")
    y, other = np.eye(8, dtype="float32"), rng.normal(50, 3, x.shape).astype("float32")
    net, batches = FakeNet(style), {"train": Batch(x, y), "target": Batch(other, None)}
    if style != "adain":
        del batches["target"]
    Mixed(style)(net, batches)
    changed = [not np.allclose(a, b) for a, b in zip(net.x, x, strict=True)]
    assert sum(changed) > len(x) / 2
    assert np.array_equal(net.y, y) == (style in STATISTICS)
    np.testing.assert_allclose(net.y.sum(axis=1), 1, rtol=1e-5)
    if style == "adain":  # each mean lies between its own and the target's, whose are about 50
        assert 5 < net.x.mean() < 45


@pytest.fixture(scope="module")
def unstyled(domains, tmp_path_factory, tensorflow):
    run, _ = adapted(AugmentAdapt(style="none", **QUICK), domains, tmp_path_factory.mktemp("unstyled") / "run")
    return terms(run)


def terms(run):
    """The losses of the adaptation, epoch by epoch."""
    return [epoch.terms["loss"] for epoch in run.work.history.epochs if epoch.phase == "adapt" and epoch.epoch]


@pytest.mark.parametrize("style", [pytest.param(each, marks=pytest.mark.slow if each in MIXES[1:] else ()) for each in MIXES])
def test_styles_at_the_cut_train(style, domains, tmp_path, tensorflow, unstyled):
    run, metrics = adapted(AugmentAdapt(style=style, **QUICK), domains, tmp_path / "run")
    assert np.abs(np.subtract(terms(run), unstyled)).min() > 1e-4, "the style does nothing"
    assert run.outline.phases[-1].front == "cached" and np.isfinite(metrics["test"]["loss"])
    assert [epoch.epoch for epoch in run.work.history.epochs if epoch.phase == "adapt"] == [0, 1, 2]


def test_styles_at_the_cut_need_a_stage(domains, tmp_path, tensorflow):
    with pytest.raises(UserError, match="option last=0: no stage trains, and option style=mixup"):
        adapted(AugmentAdapt(style="mixup", **{**QUICK, "last": 0}), domains, tmp_path / "run")


def test_pretraining_needs_a_stage(domains, tmp_path, tensorflow):
    with pytest.raises(UserError, match="option last=0: no stage trains, so pictures without labels change nothing"):
        adapted(SelfSupervised(**{**QUICK, "last": 0}), domains, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["simsiam", "rotation"])
def test_other_pretexts_learn(method, domains, tmp_path, tensorflow):
    options = {**QUICK, "method": method, "pretrain_epochs": 8, "learning_rate": 3e-3}
    run, _ = adapted(SelfSupervised(views=2, **options), domains, tmp_path / "run")
    losses = [epoch.terms[method] for epoch in run.work.history.epochs if epoch.phase == "pretrain"]
    assert losses[-1] < losses[0] - 0.02


@pytest.mark.slow
def test_turned_copies_come_in_order_cached_or_not(domains, tmp_path, tensorflow):
    from tlapp_plugins.self_supervised import TURNS, rotated

    from tlapp.contracts import Augment
    from tlapp.engine.network.front import Front

    run, _ = adapted(SelfSupervised(method="rotation", pretrain_epochs=1, **QUICK), domains, tmp_path / "run")
    number = [slot.phase.name for slot in run.work.slots].index("pretrain")
    cut, stream, remembered = run.work.slots[number].cut, run.dataset.streams["target"], run.work.streams.remembered
    front, pixels = Front(remembered.graph, cut.boundary), stream.examples.take(np.arange(5))[0]
    augment = Augment(rotated, TURNS, "rotated", per_step=TURNS)
    for use in ("auto", "off"):
        remembered.use = use
        source = remembered.source(cut, stream.examples.numbers, augment)
        for turn in range(TURNS):
            expected = front([np.rot90(pixels, turn, axes=(1, 2))])[0]
            assert np.allclose(source.take(np.arange(5), 8 + turn)[0], expected, atol=1e-4)


@pytest.mark.slow
def test_the_ramp_and_with_it_the_reversal_move_within_a_phase(domains, tmp_path, tensorflow):
    run, _ = adapted(Adversarial(method="dann", **{**QUICK, "epochs": 4}), domains, tmp_path / "run", patience=50)
    ramps = [epoch.terms["ramp"] for epoch in run.work.history.epochs if epoch.phase == "dann" and epoch.epoch]
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


@pytest.mark.slow
def test_reversing_lowers_the_domain_accuracy(domains, tmp_path, tensorflow):
    found = {}
    for reverses in (True, False):
        run, _ = adapted(Shifted(reverses=reverses), domains, tmp_path / str(reverses), patience=100)
        found[reverses] = np.mean([epoch.terms["domain_accuracy"] for epoch in run.work.history.epochs[-5:]])
    assert found[False] > 0.95 and found[True] < found[False] - 0.1
