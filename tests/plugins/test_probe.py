"""probe: the features of every stage, a head that weighs them, and what it says of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tlapp_plugins.probe import Outputs, Probe, Staged, shares

from tlapp.contracts import Backbone, ImageInput, Stage, Task, UserError
from tlapp.contracts.graph import ends
from tlapp.engine.runs.folder import METRICS
from tlapp.testing import SIZE, TinyBackbones, tiny_run

TASK = Task(("a", "b", "c"), {"train": 100})


def test_the_graft_gives_the_mean_of_every_stage_with_mean_square_one(tensorflow):
    import keras

    loaded = TinyBackbones().load("tiny")
    solver = Probe().plan(TASK, loaded.facts).phases[0].solver
    model = Probe().plan(TASK, loaded.facts).graft(loaded)
    x = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype("float32")
    parts = solver.parts(np.asarray(model(x)))
    assert list(parts) == [stage.name for stage in loaded.facts.stages]
    for name, tensor in ends(loaded).items():
        plain = np.asarray(keras.Model(loaded.graph.inputs, tensor)(x))
        mean = plain.mean(axis=tuple(range(1, plain.ndim - 1)))
        np.testing.assert_allclose(parts[name], mean / np.sqrt((mean**2).mean(axis=1, keepdims=True)), rtol=1e-4, atol=1e-5)


def test_a_backbone_whose_outputs_are_unknown_is_refused(tensorflow):
    with pytest.raises(UserError, match="no stages whose outputs are known"):
        Probe().plan(TASK, Backbone("x:y", ImageInput(32), (Stage("stem", 1), Stage("top", 1))))
    with pytest.raises(UserError, match="no one output of its stage nowhere"):
        Outputs(("nowhere",))(TinyBackbones().load("tiny"))


def test_the_stage_that_separates_the_classes_carries_the_task(tensorflow):
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    noise, signal = rng.normal(size=(120, 20)), np.eye(3)[labels] + 0.5 * rng.normal(size=(120, 3))
    features = np.hstack([100 * noise, signal]).astype("float32")
    layer, sentence = Staged(sizes={"stem": 20, "top": 3})(features, labels, 3)
    assert (np.asarray(layer(features)).argmax(axis=1) == labels).mean() > 0.9
    assert sentence.startswith("the answers' variance comes from top ")


def test_shares_are_of_the_variance_beside_other_outputs():
    one, two = np.array([[1.0], [-1.0]]), np.array([[3.0], [-3.0]])
    # The kernel of `common` moves all outputs alike, which changes no answer.
    kernels = {"one": np.array([[1.0], [-1.0]]), "two": np.array([[1.0], [-1.0]]), "common": np.array([[1.0], [1.0]])}
    sentence = shares({"one": one, "two": two, "common": two}, kernels)
    assert sentence == "the answers' variance comes from two 90%, one 10%, common 0%"


def test_scaled_features_have_a_mean_squared_length_of_one_shared_by_the_stages_alike():
    rng = np.random.default_rng(0)
    features = np.hstack([100 * rng.normal(size=(500, 20)), rng.normal(size=(500, 3))]).astype("float32")
    solver = Staged(sizes={"stem": 20, "top": 3})
    lengths = {
        name: (part**2).sum(axis=1).mean() for name, part in solver.parts(solver.scaling(features).apply(features)).items()
    }
    assert lengths == pytest.approx({"stem": 0.5, "top": 0.5}, rel=1e-3)


def test_its_verdict_is_of_what_it_reads_as_it_tunes_nothing(shapes, tmp_path, tensorflow):
    run = tiny_run(Probe(), shapes, tmp_path / "run")
    found = json.loads((run.record.folder / METRICS).read_text())
    assert (found["baselines"]["tuned"], found["baselines"]["trained"]) == (True, False)
    assert "what is read of earlier stages" in found["verdict"] and "tuning" not in found["verdict"]
