"""Pictures are decoded, computed and forgotten: a limit of the cache changes what is kept and how long it takes, no result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.image_sets import two_classes
from tlapp_plugins.probe import Probe

from tlapp.contracts import Fit, Plan, Strategy
from tlapp.engine.cache import store
from tlapp.engine.inputs import images, lazy_rows
from tlapp.testing import tiny_run

FEATURES = "60K"
"""Holds the features of 48 pictures, 5 kB, but neither the pictures, 147 kB, nor a block of them."""
HALF = "500K"
"""Holds a block of pictures while the network is loaded, and the rest not."""


class Frozen(Strategy):
    """Read the features alone."""

    def plan(self, task, backbone):
        return Plan((Fit(name="head", rates=backbone.frozen(), epochs=2, learning_rate=1e-2),))


class Live(Strategy):
    """Read the pictures in each epoch, after a phase that does not."""

    def plan(self, task, backbone):
        head = Fit(name="head", rates=backbone.frozen(), epochs=1, learning_rate=1e-2)
        return Plan((head, Fit(name="all", rates=dict.fromkeys(backbone.frozen(), 1.0), epochs=2, learning_rate=1e-3)))


@pytest.fixture
def trained(shapes, tmp_path, tensorflow, monkeypatch):
    """Trains on a cache of that name, within a limit: what was decoded before the end, what the run says, and its notes."""
    reads, read = [], images.read_sized
    monkeypatch.setattr(images, "read_sized", lambda path, *how: reads.append(Path(path).name) or read(path, *how))
    monkeypatch.setattr(lazy_rows, "BLOCK", 32)  # so that there are two
    monkeypatch.setattr("tlapp.engine.advice.baselines.leaks", lambda known, asked: [])  # which looks at some again

    def train(strategy, cache, limit="", data=shapes):
        notes: list[str] = []
        monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / cache))
        monkeypatch.setenv("TLAPP_CACHE_LIMIT", limit)
        monkeypatch.setattr("tlapp.engine.report.Silent.note", lambda self, sentence: notes.append(sentence))
        reads.clear()
        run = tmp_path / f"run-{len([*tmp_path.glob('run-*')])}"
        tiny_run(strategy, data, run)
        return len(reads), *results(run), notes

    return train


def results(run):
    with np.load(run / "probabilities.npz") as arrays:
        return (run / "history.csv").read_text(), {name: arrays[name].tobytes() for name in arrays.files}


def kinds():
    return [entry.what for entry in store.entries()]


@pytest.mark.parametrize(
    "strategy", [pytest.param(Frozen, marks=pytest.mark.slow), Probe]
)  # the second goes on from the backbone's own graph
def test_a_frozen_plan_keeps_features_and_forgets_pictures(trained, strategy):
    decoded, *roomy, notes = trained(strategy(), "roomy")
    assert decoded == 48 and "pictures" not in kinds() and {"activations", "digests"} <= {*kinds()}
    again, *warm, _ = trained(strategy(), "roomy")
    assert again == 0 and warm == roomy
    for cache, limit in (("tight", FEATURES), ("half", HALF)):
        decoded, *tight, notes = trained(strategy(), cache, limit)
        assert decoded == 48 and tight == roomy and "pictures" not in kinds()  # one pass decodes and computes
        assert not any("decoded again" in note for note in notes)


def test_a_live_plan_keeps_pictures_where_they_fit_and_else_decodes_them_each_epoch(trained):
    decoded, *roomy, notes = trained(Live(), "roomy")
    assert decoded == 48 and kinds().count("pictures") == 1 and not any("decoded again" in note for note in notes)
    again, *warm, _ = trained(Live(), "roomy")
    assert again == 0 and warm == roomy
    decoded, *tight, notes = trained(Live(), "tight", FEATURES)
    assert decoded > 3 * 48 and tight == roomy and "pictures" not in kinds()
    (said,) = (note for note in notes if "decoded again" in note)
    assert said.startswith("phase all: the decoded pictures take 147 kB, and TLAPP_CACHE_LIMIT is 60 kB: they are")
    assert " seconds each time; give the cache more room" in said


def test_a_frozen_plan_uses_pictures_that_are_there(trained):
    trained(Live(), "shared")
    decoded, *_ = trained(Frozen(), "shared")
    assert decoded == 0


@pytest.mark.parametrize("limit", ["", FEATURES])
def test_a_set_that_grew_decodes_what_is_new(trained, tmp_path, monkeypatch, limit):
    from tlapp.engine.network import engines

    monkeypatch.setattr(engines, "FEWEST", 1)  # by LiteRT, whose rows are found one by one
    monkeypatch.setattr(engines, "_remembered", {})
    data = two_classes(tmp_path / "grown", 24)
    first = data / "cats" / "3.png"
    content = first.read_bytes()
    first.unlink()
    trained(Frozen(), "grown", limit, data)
    first.write_bytes(content)
    decoded, *grown, _ = trained(Frozen(), "grown", limit, data)
    _, *whole, _ = trained(Frozen(), "whole", limit, data)
    assert grown == whole and decoded == 1
