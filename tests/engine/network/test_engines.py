"""LiteRT computes a front where it gives the same and is faster; a choice is remembered, and an example depends on no other."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tlapp.contracts import Fit, Plan, Strategy
from tlapp.testing import TinyBackbones, tiny_run


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, tensorflow):
    from tlapp.engine.network import engines

    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engines, "_remembered", {})
    return engines


@pytest.fixture(scope="module")
def tiny(tensorflow):
    from tlapp.engine.network.cut import cut

    loaded = TinyBackbones().load("tiny")
    return loaded.graph, [*cut(loaded.graph, loaded.facts.last(1), loaded.stage_of).boundary, loaded.graph.outputs[0]]


def test_it_gives_the_same_and_an_example_depends_on_no_other(cache, tiny):
    from tlapp.engine.network.front import Front

    rng = np.random.default_rng(0)
    graph, boundaries = tiny
    examples = rng.integers(0, 256, (21, *graph.inputs[0].shape[1:]), dtype=np.uint8)
    told = []
    lite = cache.LiteFront(cache.converted(graph, boundaries), 2)
    found, plain = lite([examples], told.append), Front(graph, boundaries)([examples])
    assert sum(told) == 21 and len(found) == 2
    for ours, theirs in zip(found, plain, strict=True):
        assert ours.dtype == theirs.dtype and np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max() and theirs.std() > 0
    order = rng.permutation(21)[:5]
    again = cache.LiteFront(lite.content, 1)([examples[order]])
    assert all(np.array_equal(one[order], other) for one, other in zip(found, again, strict=True))


@pytest.mark.parametrize("change, chosen", [
    (None, "litert"), ("gpu", "tensorflow"), ("wrong", "tensorflow"), ("refused", "tensorflow"), ("few", "tensorflow"),
])  # fmt: skip
def test_it_is_chosen_on_cpus_where_it_is_right(cache, tiny, monkeypatch, change, chosen):
    monkeypatch.setattr(cache, "_has_gpu", lambda: change == "gpu")
    call, converted = cache.LiteFront.__call__, cache.converted
    if change == "wrong":
        monkeypatch.setattr(cache.LiteFront, "__call__", lambda self, arrays: [each * 1.01 for each in call(self, arrays)])
    if change == "refused":
        monkeypatch.setattr(cache, "converted", lambda graph, boundaries: b"no file")
    count = cache.FEWEST - (change == "few")
    assert cache.engine(*tiny, count) == chosen
    monkeypatch.setattr(cache, "_remembered", {})  # as another process
    monkeypatch.setattr(cache, "tried", lambda *told: pytest.fail("the choice was not remembered"))
    assert cache.engine(*tiny, count) == chosen
    made = []
    monkeypatch.setattr(cache, "converted", lambda *told: made.append(1) or converted(*told))
    assert cache.engine(tiny[0], tiny[1][:1], count) == chosen, "each boundary's is remembered"
    fronts = [type(cache.front(*tiny, chosen)) for _ in range(2)]
    assert fronts == [cache.LiteFront if chosen == "litert" else cache.Front] * 2 and not made, "what was tried is kept"


def test_one_network_for_pictures_of_another_size_has_a_file_of_its_own(cache, monkeypatch):
    for size in (32, 24):  # what leaves the pooling is as long for both
        graph = TinyBackbones().load("tiny", image_size=size).graph
        examples = np.zeros((3, size, size, 3), np.uint8)
        front = cache.front(graph, [graph.outputs[0]], cache.engine(graph, [graph.outputs[0]], cache.FEWEST))
        assert type(front) is cache.LiteFront and front([examples])[0].shape == (3, *graph.outputs[0].shape[1:])


class Top(Strategy):
    """Train the head and the last stage."""

    def plan(self, task, backbone):
        return Plan((Fit(name="top", rates=backbone.last(1), epochs=2, learning_rate=1e-3),))


def test_runs_are_the_same_to_the_bit_with_and_without_the_cache(cache, shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FEWEST", 1)
    used, call = [], cache.LiteFront.__call__
    monkeypatch.setattr(cache.LiteFront, "__call__", lambda self, *told: used.append(len(told[0][0])) or call(self, *told))
    counts = []
    for name, options in (("cold", {}), ("warm", {}), ("off", {"cache": "off"})):
        used.clear()
        tiny_run(Top(), shapes, tmp_path / name, **options)
        counts.append(sum(used))
    histories = {(tmp_path / name / "history.csv").read_text() for name in ("cold", "warm", "off")}
    assert len(histories) == 1 and counts[1] == 0 < counts[0] < counts[2]
    monkeypatch.setattr(cache, "FEWEST", 10**9)
    used.clear()
    tiny_run(Top(), shapes, tmp_path / "other")  # computed anew, as what computes is a part of the key
    assert not used and cache.store.entries()
    kinds = [each.what for each in cache.store.entries()]
    assert kinds.count("activations") == 4 and kinds.count("engines") == 5  # a choice a boundary, and a file a pass


def test_a_set_that_grew_pays_for_what_is_new_and_gives_the_same_to_the_bit(cache, tmp_path, monkeypatch):
    from helpers.image_sets import two_classes

    monkeypatch.setattr(cache, "FEWEST", 1)
    root, used, call = two_classes(tmp_path / "pictures", 8), [], cache.LiteFront.__call__
    monkeypatch.setattr(cache.LiteFront, "__call__", lambda self, *told: used.append(len(told[0][0])) or call(self, *told))

    def trained(name):
        used.clear()
        run = tiny_run(Top(), root, tmp_path / name)
        return sum(used), (tmp_path / name / "history.csv").read_text(), run

    trained("before")
    rng = np.random.default_rng(5)
    for name in ("0-new.png", "9-new.png"):  # listed before and after what is known
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(root / "cats" / name)
    grown, history, _ = trained("grown")
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(cache, "_remembered", {})
    whole, fresh, _ = trained("fresh")
    assert history == fresh and (grown, whole - cache.TRIED) == (2, 18)
