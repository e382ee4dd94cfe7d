"""The frozen front: cut, folded, computed once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.tiny_place import furnish, of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tlapp
from tlapp.contracts import Augment, Fit, Plan, Strategy
from tlapp.testing import TinyBackbones, tiny_run


class Viewed(Strategy):
    """Train the top on darkened copies of the pictures."""

    views: int | None = 3

    def plan(self, task, backbone):
        augment = Augment(darken, self.views, "darken")
        return Plan((Fit(name="seen", rates=backbone.last(1), epochs=2, learning_rate=1e-3, augment=augment),))


DRAWS = []


def darken(pictures, seed):
    DRAWS.append(seed)
    return pictures * (0.5 + (seed % 97) / 200)


def test_views_are_computed_once_and_told_apart(shapes, tmp_path, tensorflow):
    DRAWS.clear()
    run = tiny_run(Viewed(), shapes, tmp_path / "a")
    assert run.outline.phases[0].front == "cached" and run.outline.phases[0].augment == "darken"
    assert len(DRAWS) == len(set(DRAWS)) == 3  # 31 training pictures are one block a view
    source = run.work.streams.source(run.work.slots[0].phase, run.work.slots[0].cut, "train")
    first, second = source.take(np.arange(6), 1)[0], source.take(np.arange(6), 2)[0]
    assert not np.array_equal(first, second)
    assert np.array_equal(first, source.take(np.arange(6), 4)[0])
    DRAWS.clear()
    tiny_run(Viewed(), shapes, tmp_path / "b")
    assert not DRAWS


def test_fresh_augmentation_is_not_cached_and_the_plan_says_so(shapes, tmp_path, tensorflow):
    DRAWS.clear()
    run = tiny_run(Viewed(views=None), shapes, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["phases"][0]["front"] == "computed each epoch"
    assert len(set(DRAWS)) == 3  # a row to learn its size, then one block an epoch
    assert run.outline.phases[0].cached_mb == 0


def test_basic_augmentation_changes_pictures_alike_for_a_seed_and_stays_out_of_the_model(shapes, tmp_path, tensorflow):
    from tlapp.engine.inputs.augment import basic
    from tlapp.engine.runs.saved import SavedRun

    pictures = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    apply = basic().apply
    one, again, other = (np.asarray(apply(pictures, seed)) for seed in (5, 5, 6))
    assert np.array_equal(one, again) and not np.array_equal(one, other) and not np.allclose(one, pictures)
    assert one.min() >= 0 and one.max() <= 255 and one.shape == pictures.shape
    run = tiny_run(Viewed(views=None), shapes, tmp_path / "run", augment="basic")
    assert not any("random" in layer.name for layer in SavedRun(tmp_path / "run").model.layers)
    assert run.work.slots[0].phase.augment.name == "darken"  # the strategy's own goes before --augment


def test_what_does_not_fit_is_computed_anew(shapes, tmp_path, tensorflow, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", "2M")
    run = tiny_run(Viewed(views=None), shapes, tmp_path / "run")
    assert run.work.streams.remembered.fits(run.work.slots[0].cut) is True
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", "300K")
    assert run.work.streams.remembered.fits(run.work.slots[0].cut) is False


def test_an_altered_entry_is_computed_again(shapes, tmp_path, tensorflow, monkeypatch):
    from tlapp.engine.cache import store

    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    freeze = Viewed(views=1)
    tiny_run(freeze, shapes, tmp_path / "a")
    for path in store.folder().glob("*.rows"):
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        path.write_bytes(content)
    tiny_run(freeze, shapes, tmp_path / "b")
    assert (tmp_path / "a" / "history.csv").read_text() == (tmp_path / "b" / "history.csv").read_text()


def test_the_key_of_a_front_is_its_function(tensorflow):
    from tlapp.engine.network.cut import cut
    from tlapp.engine.network.front import digest

    def key(rates=None, change=None):
        loaded = TinyBackbones().load("tiny")
        if change:
            variable = loaded.graph.get_layer(change).weights[0]
            variable.assign(variable + 1e-3)
        where = cut(loaded.graph, rates or loaded.facts.last(1), loaded.stage_of)
        return digest(loaded.graph, where.boundary[0])

    assert key() == key() == key(change="top_conv")
    assert len({key(), key(change="stem_conv"), key(change="middle_norm"), key({"stem": 0, "middle": 1, "top": 1})}) == 4
    loaded = TinyBackbones().load("tiny")
    before = digest(loaded.graph, loaded.graph.outputs[0])
    variable = loaded.graph.get_layer("stem_conv").weights[0]
    variable.assign(variable + 1e-3)
    assert digest(loaded.graph, loaded.graph.outputs[0]) != before  # of the same graph, which is described once
    variable.assign(variable - 1e-3)


@pytest.fixture
def passes(monkeypatch):
    """How many tensors each pass over examples has computed."""
    from tlapp.engine.network.activations import Remembered

    counted, plain = [], Remembered._pass

    def counting(self, tensors, *rest):
        counted.append(len(tensors))
        return plain(self, tensors, *rest)

    monkeypatch.setattr(Remembered, "_pass", counting)
    return counted


@pytest.mark.parametrize(("plugin", "tensors"), [("probe", [2]), ("partial", [2]), ("freeze", [1]), ("auto", [3])])
def test_one_pass_computes_what_a_run_or_a_race_reads_of_the_backbone_as_it_was(
    tmp_path, tensorflow, passes, monkeypatch, plugin, tensors
):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    place = furnish(tmp_path, each=20)
    tlapp.train(plugin=plugin, run=str(tmp_path / "run"), report="off", **of(place))
    assert passes == tensors  # the features of the whole backbone among them, for the verdict


@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_front_and_rest_are_the_whole_on_any_graph(data, tensorflow):
    """Random graphs with branches and sums; any set of living stages."""
    import keras

    from tlapp.contracts.graph import replay
    from tlapp.engine.network.cut import cut
    from tlapp.engine.network.fold import fold
    from tlapp.engine.network.front import Front
    from tlapp.engine.network.net import infer

    image = keras.Input((8, 8, 3))
    made, stage_of = [image], {}
    for number in range(data.draw(st.integers(2, 6))):
        source = made[data.draw(st.integers(0, len(made) - 1))]
        convolution = keras.layers.Conv2D(4, 3, padding="same", name=f"conv{number}", use_bias=data.draw(st.booleans()))
        norm = keras.layers.BatchNormalization(name=f"norm{number}")
        y = norm(convolution(source))
        norm.set_weights([np.random.default_rng(number).uniform(0.5, 2, w.shape) for w in norm.weights])
        others = [t for t in made if t.shape == y.shape]
        if others and data.draw(st.booleans()):
            y = keras.layers.Add(name=f"add{number}")([y, others[data.draw(st.integers(0, len(others) - 1))]])
        stage_of |= {f"conv{number}": f"s{number}", f"norm{number}": f"s{number}"}
        made.append(y)
    graph = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.ReLU(name="relu")(made[-1])))
    rates = {stage: data.draw(st.sampled_from([0.0, 1.0])) for stage in stage_of.values()}
    pictures = np.random.default_rng(1).uniform(0, 255, (5, 8, 8, 3)).astype(np.float32)
    where = cut(graph, rates, stage_of)
    crossing = [pictures] if where.at_input else Front(graph, where.boundary)([pictures])
    values = {id(s): tensorflow.constant(v) for s, v in zip(where.boundary, crossing, strict=True)}
    found = replay(where.rest, values, fold(where.rest, [where.output], lambda norm: True, infer))[id(where.output)]
    expected = graph(pictures, training=False)
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(np.abs(expected).max()))


def test_cache_commands(shapes, tmp_path, tensorflow, monkeypatch, capsys):
    from tlapp.cli.main import run

    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    tiny_run(Viewed(views=1), shapes, tmp_path / "run")
    assert run(["cache", "list"]) == 0
    listed = capsys.readouterr().out
    assert "pictures" in listed and "activations" in listed and "of at most 20.0 GB" in listed
    assert run(["cache", "clear", "--yes"]) == 0
    run(["cache", "list"])
    assert "0 entries, 0 bytes of" in capsys.readouterr().out


def test_the_unknown_limit_is_said(monkeypatch, capsys):
    from tlapp.cli.main import run

    monkeypatch.setenv("TLAPP_CACHE_LIMIT", "lots")
    assert run(["cache", "list"]) == 2
    assert "TLAPP_CACHE_LIMIT" in capsys.readouterr().err


@pytest.mark.parametrize("live", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_lite0_front_equals_the_plain_forward_pass(live, tensorflow):
    """Folded and with its constants in place, within 1e-3 of Keras's predict, of the largest feature; by both engines."""
    from tlapp.backbones.keras_cv import KerasCV
    from tlapp.engine.network.cut import cut
    from tlapp.engine.network.engines import LiteFront, converted
    from tlapp.engine.network.front import Front

    loaded = KerasCV().load("efficientnet-lite0", image_size=64)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    rates = loaded.facts.last(live)
    where = cut(loaded.graph, rates, loaded.stage_of)
    import keras

    plain = keras.Model(loaded.graph.inputs, where.boundary[0])(pictures.astype(np.float32), training=False).numpy()
    for front in (Front(loaded.graph, where.boundary), LiteFront(converted(loaded.graph, where.boundary), 2)):
        (found,) = front([pictures])
        assert np.abs(found - plain).max() <= 1e-3 * np.abs(plain).max()
