"""The option class_weights reaches a solver that can weight its examples, where classes differ much."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from tlapp.contracts import Plan, Solve, Weighted
from tlapp.engine.check import unread_options
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
