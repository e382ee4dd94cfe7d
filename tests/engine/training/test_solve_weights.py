"""The option class_weights reaches a solver that can weight its examples, where classes differ much."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from helpers.tiny_place import furnish, of

import tlapp
from tlapp.blame import strategy
from tlapp.contracts import Plan, PluginError, Solve, Strategy, Weighted
from tlapp.engine.check import unread_options
from tlapp.engine.runs.folder import PROBABILITIES
from tlapp.engine.training.solve import solve


@dataclass
class Noting:
    """Notes the weights that it was given."""

    seen: list = field(default_factory=list)

    def weighted(self, weights):
        self.seen.append(weights)
        return self

    def __call__(self, features, labels, classes):
        import keras

        layer = keras.layers.Dense(classes)
        layer.build((None, features.shape[1]))
        return layer


class Rows:
    """A source of features."""

    def take(self, rows, view):
        return np.ones((len(rows), 3), np.float32), None


def plan_of(solver):
    return Solve(name="solve", rates={"stem": 0.0}, solver=solver)


@pytest.mark.parametrize(
    ("counts", "weigh", "expected"),
    [((9, 1), True, [10 / 18, 5.0]), ((9, 1), False, None), ((6, 4), True, None), ((0, 4), True, None)],
)
def test_weights_where_classes_differ(counts, weigh, expected):
    labels, solver = np.repeat([0, 1], counts), Noting()
    solve(plan_of(solver), [(Rows(), labels)], 2, weigh)
    if expected is None:
        assert not solver.seen
    else:
        np.testing.assert_allclose(solver.seen[0][[0, -1]], expected)


def test_the_option_is_read_where_the_solver_can():
    assert isinstance(Noting(), Weighted)
    assert "class_weights" not in unread_options(Plan((plan_of(Noting()),)))
    assert "class_weights" in unread_options(Plan((plan_of(print),)))


@pytest.mark.parametrize("plugin", ["feature-extract", "probe"])
def test_a_run_of_uneven_classes_weights_them_unless_it_is_told_not_to(plugin, tmp_path, tensorflow):
    place = furnish(tmp_path, each=30)
    for path in sorted((place / "data" / "circle").iterdir())[10:]:
        path.unlink()
    runs = [tlapp.train(plugin=plugin, run=str(tmp_path / way), class_weights=way, **of(place)) for way in ("auto", "none")]
    auto, none = (run.files.arrays(PROBABILITIES)["test"] for run in runs)
    rare = runs[0].labels.index("circle")
    assert auto[:, rare].mean() > none[:, rare].mean() + 1e-4


def test_what_a_weighted_solver_raises_is_the_plugins_fault(tmp_path):
    class Refuses(Noting):
        def weighted(self, weights):
            return lambda *given: 1 / 0

    class Own(Strategy):
        def plan(self, task, backbone):
            return Plan((plan_of(Refuses()),))

    solver = strategy(Own(), "own 1.0").plan(None, None).phases[0].solver
    with pytest.raises(PluginError, match="its solver failed: ZeroDivisionError"):
        solver.weighted(np.ones(2))(None, None, 2)
