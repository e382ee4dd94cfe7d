"""Two labelled sets at once: how losses are weighted, what is held out, what is kept and what is exported."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.two_sets import loaded, trained
from PIL import Image
from tlapp_plugins.multi_task import SPEED, AuxHead, MultiTask, Together, log_variances, uncertainty

from tlapp.contracts import Fit, Plan, PluginError, Strategy, UserError
from tlapp.engine.data import streams
from tlapp.testing import pictures, tiny_run

QUICK = {"warmup": 3, "epochs": 3, "last": 1}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Pictures of three classes, and others of two."""
    folder = tmp_path_factory.mktemp("sets")
    return pictures(folder / "main", each=14), pictures(folder / "aux", each=12, classes=("circle", "stripe"), seed=9)


def test_the_uncertainty_is_the_paper_s(tensorflow):
    tf = tensorflow
    losses = np.array([0.7, 0.05], np.float32)
    s = tf.Variable([0.3, -1.2])
    with tf.GradientTape() as tape:
        value = uncertainty(tf.constant(losses), s)
    sigma = np.exp(np.array([0.3, -1.2]) / 2)
    assert float(value) == pytest.approx(np.sum(losses / sigma**2 + np.log(sigma)), rel=1e-5)
    assert np.allclose(tape.gradient(value, s), 0.5 - losses * np.exp([-0.3, 1.2]), atol=1e-5)
    s.assign(np.log(2 * losses))
    with tf.GradientTape() as tape:
        value = uncertainty(tf.constant(losses), s)
    assert np.allclose(tape.gradient(value, s), 0, atol=1e-6), "least where exp(s) = 2 L"


class FakeNet:
    """A net whose losses are told."""

    def __init__(self, log_variance=None):
        self.log_variance = log_variance

    def features(self, x):
        return x

    def part(self, name):
        return {"aux": lambda x: "aux outputs", "uncertainty": lambda x: self.log_variance}[name]

    def task_loss(self, batch, outputs=None):
        return np.float32({"main x": 0.8, "aux x": 0.5}[batch.x])


@pytest.mark.parametrize("weight", [0.25, None])
def test_the_terms_add_up_to_the_weighed_losses(weight, tensorflow):
    s = np.array([0.4, -0.6], np.float32)
    batches = {"train": data_batch("main x"), "aux": data_batch("aux x")}
    terms = {name: float(value) for name, value in Together(weight)(FakeNet(s), batches).items()}
    logged = terms.pop("aux_weight")
    assert (terms["loss"], terms["aux"]) == (pytest.approx(0.8), pytest.approx(0.5))
    expected = 0.8 + 0.25 * 0.5 if weight else 0.8 * np.exp(-0.4) + 0.5 * np.exp(0.6) + (0.4 - 0.6) / 2
    assert sum(terms.values()) == pytest.approx(expected, rel=1e-5)
    assert logged == pytest.approx(weight or np.exp(1.0), rel=1e-5)


def data_batch(x):
    from tlapp.contracts import Batch

    return Batch(x)


def test_uncertainties_begin_at_nothing_and_learn_fast(tensorflow):
    layer = log_variances()
    assert np.array_equal(layer(np.zeros(2)), [0, 0])
    layer.value.assign([0.1, -0.2])
    assert np.allclose(layer(np.zeros(2)), [0.1 * SPEED, -0.2 * SPEED])


def test_a_share_of_aux_is_held_out_by_class_and_seed(sets):
    main, aux = sets
    dataset = loaded(main, aux, test_share=0.25)
    held, rest = dataset.streams["aux_test"], dataset.streams["aux"]
    assert np.bincount(held.labels).tolist() == [3, 3] and np.bincount(rest.labels).tolist() == [9, 9]
    assert not set(held.files) & set(rest.files)
    assert loaded(main, aux, test_share=0.25).streams["aux_test"].files == held.files
    assert loaded(main, aux, test_share=0.25, seed=1).streams["aux_test"].files != held.files
    rows = [row for row in streams.split_rows(dataset) if row.split.startswith("aux")]
    assert {row.label for row in rows} == {"circle", "stripe"} and len(rows) == 24


def test_pictures_of_both_sets_go_the_same_way(sets, tmp_path):
    main, _ = sets
    paths = sorted(main.rglob("*.png"))
    table = tmp_path / "halves.csv"
    table.write_text("path,label\n" + "".join(f"{path},{'odd' if int(path.stem) % 2 else 'even'}\n" for path in paths))
    dataset = loaded(main, table)
    files = {name: set(stream.files) for name, stream in dataset.streams.items()}
    assert files["aux"] == files["train"] and files["aux_test"] == files["val"] | files["test"]


def test_aux_may_bring_its_own_test(sets, tmp_path):
    main = sets[0]
    for split, each in (("train", 5), ("val", 2), ("test", 3)):
        pictures(tmp_path / "own" / split, each=each, classes=("circle", "stripe"), seed=each)
    dataset = loaded(main, tmp_path / "own")
    assert (len(dataset.streams["aux"]), len(dataset.streams["aux_test"])) == (10, 6)
    assert any("its val pictures are not used" in note for note in dataset.notes)
    pictures(tmp_path / "own" / "test", each=1, classes=("square",))
    with pytest.raises(UserError, match=r"option aux=.*own: test: not among the classes trained on .*square"):
        loaded(main, tmp_path / "own")
    few = pictures(tmp_path / "few", each=2, seed=77)
    assert "aux_test" not in loaded(main, few).streams
    assert any("not measured" in note for note in loaded(main, few).notes)


def test_aux_metrics_are_those_of_its_head_on_what_was_held_out(sets, tmp_path, tensorflow):
    run, metrics = trained(MultiTask(**QUICK), sets, tmp_path / "run")
    stream = run.dataset.streams["aux_test"]
    seen = stream.examples.take(np.arange(len(stream)))[0].astype(np.float32)
    outputs = np.asarray(run.work.aux(run.work.graph(seen, training=False)))
    told = metrics["aux"]
    assert told["n"] == len(stream) == metrics["images"]["aux_test"] and set(told["classes"]) == {"circle", "stripe"}
    assert told["accuracy"] == pytest.approx(np.mean(outputs.argmax(axis=1) == stream.labels))
    likely = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    assert told["loss"] == pytest.approx(-np.log(likely[np.arange(len(stream)), stream.labels]).mean(), rel=1e-3)
    assert {"balanced_accuracy", "macro_f1"} <= set(told)
    assert run.work.model().output_shape == (None, 3), "what is exported is the first task's alone"
    assert {"loss", "aux", "balance", "aux_weight"} == set(run.work.history.epochs[0].terms)


@pytest.mark.slow
def test_the_result_and_other_strategies_stay_as_they_were(sets, tmp_path, tensorflow):
    from tlapp_plugins.partial import Partial

    from tlapp.cli.result import result_lines

    _, without = trained(Partial(**QUICK), sets, tmp_path / "partial", aux=None)
    assert "aux" not in without
    _, metrics = trained(MultiTask(balance="fixed", **QUICK), sets, tmp_path / "run")
    assert [line.split()[0] for line in result_lines(tmp_path / "run", metrics)][:3] == ["val", "test", "aux"]


class Still(Strategy):
    """Learns the second task in one phase, and next to nothing in another."""

    classes: int = 2

    def plan(self, task, backbone):
        both = {"streams": ("train", "aux"), "loss": Together(1.0), "parts": {"aux": AuxHead(self.classes)}, "epochs": 4}
        rates = backbone.frozen()
        return Plan(
            (
                Fit(name="learn", rates=rates, learning_rate=1e-2, **both),
                Fit(name="rest", rates=rates, learning_rate=1e-9, **both),
            )
        )


def test_the_aux_head_is_kept_from_phase_to_phase(sets, tmp_path, tensorflow):
    run, _ = trained(Still(), sets, tmp_path / "run")
    assert np.abs(run.work.aux.kernel).max() > 1e-3, "a new head would be zeros, and stay so at the rate of the second phase"


def test_an_aux_head_of_another_size_is_refused(sets, tmp_path, tensorflow):
    with pytest.raises(
        PluginError, match=r"its part aux must give \(batch, classes of aux\), here \(None, 2\). Received: \(None, 5\)"
    ):
        trained(Still(classes=5), sets, tmp_path / "run")


def test_without_a_second_set_it_is_asked_for(sets, tmp_path, tensorflow):
    with pytest.raises(UserError, match="set option aux to a folder or CSV"):
        tiny_run(MultiTask(**QUICK), sets[0], tmp_path / "run")


@pytest.mark.slow
def test_a_second_set_moves_the_shared_stages(sets, tmp_path, tensorflow):
    main, aux = sets
    same = pictures(tmp_path / "turned", each=12, classes=("circle", "stripe"), seed=9)
    for path in same.rglob("*.png"):
        Image.open(path).rotate(90).save(path)
    weights = []
    for number, other in enumerate((aux, same)):
        run, _ = trained(MultiTask(**QUICK), (main, other), tmp_path / str(number))
        weights.append(run.work.graph.get_layer("top_conv").kernel.numpy())
    assert not np.allclose(*weights)
