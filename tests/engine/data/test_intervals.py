"""95 % intervals hold what they are of in 93 to 97 of 100 draws."""

from __future__ import annotations

import numpy as np
import pytest

from tlapp.engine.data import intervals
from tlapp.engine.data.metrics import metrics, number_metrics

DRAWS = 500


def test_wilson_is_that_of_scipy_and_stays_inside():
    from scipy.stats import binomtest

    for right, n in ((60, 74), (3, 3), (0, 9)):
        assert intervals.share(right, n) == pytest.approx(binomtest(right, n).proportion_ci(method="wilson"), abs=1e-6)
    assert intervals.share(0, 5)[0] == 0 and intervals.share(0, 0) == [0, 1]


@pytest.mark.parametrize(("n", "accuracy"), [(100, 0.8), (300, 0.9), (1000, 0.6)])
def test_the_accuracy_of_new_draws_is_covered(n, accuracy):
    rng = np.random.default_rng(0)
    found = [intervals.share(right, n) for right in rng.binomial(n, accuracy, DRAWS)]
    assert 0.93 <= np.mean([low <= accuracy <= high for low, high in found]) <= 0.97


@pytest.mark.parametrize(("n", "better", "worse"), [(80, 0.12, 0.05), (300, 0.1, 0.1), (1000, 0.03, 0.06)])
def test_a_paired_difference_is_covered(n, better, worse):
    rng, held = np.random.default_rng(0), []
    for _ in range(DRAWS):
        kind = rng.choice(4, n, p=[better, worse, 0.6, 1 - 0.6 - better - worse])
        low, high = intervals.difference((kind == 0) | (kind == 2), (kind == 1) | (kind == 2))
        held.append(low <= better - worse <= high)
    assert 0.93 <= np.mean(held) <= 0.975


def test_macro_f1_is_covered():
    confusion = np.array([[0.35, 0.03, 0.02], [0.05, 0.2, 0.05], [0.02, 0.03, 0.25]])
    right, total = np.diag(confusion), confusion.sum(0) + confusion.sum(1)
    truth, rng, held = float((2 * right / total).mean()), np.random.default_rng(0), []
    for _ in range(200):
        cells = rng.choice(9, 300, p=confusion.ravel())
        low, high = metrics(np.eye(3)[cells % 3], cells // 3, "abc")["macro_f1_interval"]
        held.append(low <= truth <= high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_r2_and_mae_are_covered():
    rng, held = np.random.default_rng(0), []
    for _ in range(200):
        numbers = rng.normal(size=200)
        found = number_metrics(numbers + rng.normal(size=200) / 2, numbers)
        held.append(
            [found[f"{name}_interval"][0] <= truth <= found[f"{name}_interval"][1]
             for name, truth in (("r2", 0.75), ("mae", 0.5 * (2 / np.pi) ** 0.5))]
        )  # fmt: skip
    assert (np.abs(np.mean(held, axis=0) - 0.95) <= 0.035).all()


def test_what_is_asked_after_each_epoch_draws_nothing(monkeypatch):
    monkeypatch.setattr(intervals, "drawn", None)
    found = metrics(np.eye(2), np.array([0, 1]), "ab", intervals=False)
    assert found["accuracy_interval"] == intervals.share(2, 2) and "macro_f1_interval" not in found


@pytest.mark.parametrize("n", [1, 7, 50, 240, 1000])
def test_wilsons_interval_holds_the_share_at_its_ends(n):
    assert intervals.share(n, n)[1] == 1.0 and intervals.share(0, n)[0] == 0.0
