"""What the engine promises for every strategy, tried on a tiny backbone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tlapp import registry
from tlapp.contracts import Fit, Plan, PluginError, Strategy, UserError
from tlapp.testing import tiny_run

QUICK = {
    "freeze": {"epochs": 4},
    "partial": {"epochs": 3, "warmup": 2},
    "full": {"epochs": 3, "warmup": 2},
    "layerwise": {"epochs": 3, "warmup": 2},
    "gradual": {"epochs": 2, "warmup": 2},
    "feature-extract": {},
}


LIVE = {
    "freeze": (), "feature-extract": (), "partial": ("middle", "top"), "full": ("stem", "middle", "top"),
    "layerwise": ("stem", "middle", "top"), "gradual": ("stem", "middle", "top"),
}  # fmt: skip


MIDDLE = {"middle_conv/kernel", "middle_depthwise/kernel", "middle_pointwise/kernel", "middle_pointwise/bias"}
"""The weights of the middle stage, its batch norm's excepted."""


MARKED = [pytest.param(name, marks=[pytest.mark.slow] if name in ("gradual", "layerwise") else []) for name in QUICK]


def make(name, **options):
    return registry.load("strategy", name)(**{**QUICK[name], **options})


def weights(graph):
    return {v.path: v.numpy() for layer in graph.layers for v in layer.weights if "seed" not in v.path}


def test_every_strategy_is_tried():
    assert set(QUICK) == set(LIVE)
    elsewhere = {"adversarial", "distill", "surgical", "augment-adapt", "multi-task", "self-supervised"}
    elsewhere |= {"auto", "adapters", "few-shot", "probe", "progressive", "self-training"}
    assert set(QUICK) | elsewhere == set(registry.installed("strategy"))


@pytest.mark.parametrize("name", MARKED)
def test_frozen_stay_live_move_and_batch_norm_is_untouched(name, shapes, tmp_path, tensorflow):
    from tlapp.testing import TinyBackbones

    before = weights(TinyBackbones().load("tiny").graph)
    run = tiny_run(make(name), shapes, tmp_path / "run", patience=50)
    after = weights(run.work.graph)
    assert set(before) == set(after)
    for path, value in before.items():
        moves = path.split("_")[0] in LIVE[name] and "_norm" not in path
        assert np.array_equal(value, after[path]) != moves, path


@pytest.mark.parametrize("name", MARKED)
def test_learns_and_leaves_a_complete_run(name, shapes, tmp_path, tensorflow):
    from tlapp.engine.runs.saved import SavedRun

    run = tiny_run(make(name), shapes, tmp_path / "run")
    saved = SavedRun(tmp_path / "run")
    test = run.dataset.streams["test"]
    probabilities = saved.probabilities(test.examples.take(np.arange(len(test)))[0])
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.mean(probabilities.argmax(axis=1) == test.labels) == pytest.approx(saved.metrics["test"]["accuracy"])
    assert saved.labels == ("circle", "square", "stripe")
    assert not any("dropout" in layer.name for layer in saved.model.layers)
    assert {"settings.yaml", "plan.json", "labels.txt", "splits.csv", "model.keras", "metrics.json"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
    assert set(saved.metrics) >= {"val", "test", "target", "seconds", "images", "peak_memory_mb"}


@pytest.mark.parametrize("name", ["partial", pytest.param("full", marks=pytest.mark.slow)])
def test_same_seed_same_result_and_the_cache_is_memory_not_semantics(name, shapes, tmp_path, tensorflow):
    def history(folder, **options):
        run = tiny_run(make(name), shapes, tmp_path / folder, **options)
        return (tmp_path / folder / "history.csv").read_text(), weights(run.work.graph)

    first, again, uncached, other = history("a"), history("b"), history("c", cache="off"), history("d", seed=1)
    assert first[0] == again[0] == uncached[0] != other[0]
    for path, value in first[1].items():
        assert np.array_equal(value, again[1][path]) and np.array_equal(value, uncached[1][path]), path


def test_a_second_run_computes_no_front(shapes, tmp_path, tensorflow, monkeypatch):
    from tlapp.engine.network import activations

    tiny_run(make("freeze"), shapes, tmp_path / "a")
    monkeypatch.setattr(activations, "front", None)
    tiny_run(make("freeze", epochs=2, learning_rate=0.01), shapes, tmp_path / "b")


class Narrow(Strategy):
    """Train the middle alone, at a rate, with batch norm as told."""

    batch_norm: str = "frozen"

    def plan(self, task, backbone):
        rates = {**backbone.frozen(), "middle": 0.5}
        return Plan((Fit(name="middle", rates=rates, epochs=2, learning_rate=0.01, batch_norm=self.batch_norm),))


def test_a_stage_between_frozen_ones_trains_alone(shapes, tmp_path, tensorflow):
    from tlapp.testing import TinyBackbones

    before, after = weights(TinyBackbones().load("tiny").graph), weights(tiny_run(Narrow(), shapes, tmp_path / "run").work.graph)
    assert {path for path in before if not np.array_equal(before[path], after[path])} == MIDDLE


def test_batch_norm_updates_where_it_is_asked_to(shapes, tmp_path, tensorflow):
    from tlapp.testing import TinyBackbones

    run = tiny_run(Narrow(batch_norm="update"), shapes, tmp_path / "run")
    before, after = weights(TinyBackbones().load("tiny").graph), weights(run.work.graph)
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    assert moved == {f"middle_norm/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")} | {*MIDDLE}


def test_rates_are_learning_rates(shapes, tmp_path, tensorflow, monkeypatch):
    """Adam's first step moves a weight by about the learning rate: a rate of 0.5 halves it."""
    monkeypatch.setattr("tlapp.engine.training.selection.Selection.restore", lambda self: None)

    class Step(Strategy):
        def plan(self, task, backbone):
            rates = {"stem": 0.0, "middle": 0.5, "top": 1.0}
            return Plan((Fit(name="step", rates=rates, epochs=1, learning_rate=0.01),))

    from tlapp.testing import TinyBackbones

    before = weights(TinyBackbones().load("tiny").graph)
    options = {"batch_size": 64, "weight_decay": 0.0, "schedule": "constant", "clip_norm": 1e9}
    run = tiny_run(Step(), shapes, tmp_path / "run", **options)
    after = weights(run.work.graph)
    step = {s: np.median(np.abs(after[f"{s}_conv/kernel"] - before[f"{s}_conv/kernel"])) for s in ("middle", "top")}
    assert step["top"] == pytest.approx(0.01, rel=0.05)
    assert step["middle"] == pytest.approx(0.005, rel=0.05)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_weights(shapes, tmp_path, tensorflow):
    import keras

    class Bad(Strategy):
        def plan(self, task, backbone):
            def loss(net, batch):
                return {"bad": net.task_loss(batch["train"]) * keras.ops.log(-1.0)}

            return Plan((Fit(name="bad", rates=backbone.all(), epochs=1, learning_rate=0.1, loss=loss),))

    with pytest.raises(PluginError, match="phase bad, epoch 1, steps 1 to 4: the loss bad is no longer a finite number"):
        tiny_run(Bad(), shapes, tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.json").exists() and (tmp_path / "run" / "checkpoints" / "best.keras").exists()


def test_a_high_learning_rate_never_ends_worse_than_it_began(shapes, tmp_path, tensorflow):
    run = tiny_run(make("full", learning_rate=5.0, warmup=5), shapes, tmp_path / "run")
    losses = [row.split(",") for row in (tmp_path / "run" / "history.csv").read_text().splitlines()]
    best = min(float(row[4]) for row in losses if row[0] == "warm-up" and row[2:4] == ["val", "loss"])
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["val"]["loss"] <= best + 1e-6
    assert run.work.slots[-1].phase.name == "tune"


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        ({"stem": 0.0, "middle": 0.0}, "gives no rate for stage top"),
        ({"stem": 0.0, "middle": 0.0, "top": 0.0, "tail": 1.0}, "gives a rate for tail"),
        ({"stem": 0.0, "middle": 0.0, "top": float("nan")}, "must be a finite number"),
    ],
)
def test_a_plan_that_breaks_the_contract_is_named(rates, sentence, shapes, tmp_path, tensorflow):
    class Broken(Strategy):
        def plan(self, task, backbone):
            return Plan((Fit(name="only", rates=rates, epochs=1, learning_rate=0.1),))

    with pytest.raises(PluginError, match=sentence):
        tiny_run(Broken(), shapes, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_stages_than_there_are(shapes, tmp_path, tensorflow):
    with pytest.raises(UserError, match=r"tiny:tiny has 3 stages \(stem ... top\). Received: 19"):
        tiny_run(make("partial", last=19), shapes, tmp_path / "run")
