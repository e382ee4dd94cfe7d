"""A discriminant made of sums: scikit-learn's, and the same whether it learns at once or in parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from tlapp_plugins.shared.discriminant import Discriminant
from tlapp_plugins.shared.solver_layers import Scaling

from tlapp.contracts import FewShot, Teachable


def features(labels, seed=0, size=24):
    """Of very different scales; the last one is dead."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(0.3, 1, (max(labels) + 1, size))
    x = np.maximum(centres[labels] + rng.normal(0, 1, (len(labels), size)), 0) * np.geomspace(0.01, 1, size)
    x[:, -1] = 0
    return x.astype("float32")


@pytest.fixture(scope="module")
def data(tensorflow):
    labels = np.concatenate([np.repeat([0, 1, 2, 3], [60, 40, 50, 30])])
    return features(labels), labels, features(labels, seed=1)


def outputs(layer, x):
    return np.asarray(layer(x), np.float64)


def test_it_gives_scikit_learns_probabilities(data):
    """But for how much is round: scikit-learn shrinks each covariance after standardising it, so that ours is shrunk by hand."""
    x, y, other = data
    solver = Discriminant(shrinkage=0.2)
    memory = solver.learn(None, x, y, 4)
    memory["temperature"] = np.array(1.0)
    scaling = Scaling.of(x)
    rows, asked = (((each - scaling.mean) / scaling.scale).astype(np.float64) for each in (x, other))
    within = sum(np.cov(rows[y == k].T, bias=True) * (y == k).sum() for k in range(4)) / len(y)
    shrunk = 0.8 * within + 0.2 * np.trace(within) / len(within) * np.eye(len(within))
    means = np.stack([rows[y == k].mean(axis=0) for k in range(4)])
    gaps = asked[:, None] - means
    log_density = -0.5 * np.einsum("nkd,de,nke->nk", gaps, np.linalg.inv(shrunk), gaps)
    np.testing.assert_allclose(log_softmax(outputs(solver.layer(memory), other), 1), log_softmax(log_density, 1), atol=1e-3)
    sklearn = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2, priors=[0.25] * 4).fit(rows, y).predict(asked)
    assert (outputs(solver.layer(memory), other).argmax(1) == sklearn).mean() > 0.97


def test_learning_in_parts_is_learning_at_once_to_1e_6(data):
    x, y, other = data
    solver = Discriminant(shrinkage=0.1)
    whole = solver.learn(None, x, y, 4)
    old = y < 3
    memory = solver.learn(None, x[old], y[old], 3)
    assert memory["sums"].shape[1] == 3
    for part in np.array_split(np.flatnonzero(~old), 4):
        memory = solver.learn(memory, x[part], y[part], 4)
    memory["temperature"] = whole["temperature"]
    for name in ("gram", "sums"):
        np.testing.assert_allclose(memory[name], whole[name], rtol=1e-12, atol=1e-9)
    one, other_one = outputs(solver.layer(memory), other), outputs(solver.layer(whole), other)
    np.testing.assert_allclose(one, other_one, atol=1e-6 * np.abs(other_one).max())
    assert np.abs(outputs(solver.layer(solver.learn(None, x[old], y[old], 4)), other)[:, 3] - other_one[:, 3]).max() > 1


def test_shrinkage_and_temperature_are_chosen_by_the_first_examples(data):
    x, y, other = data
    memory = Discriminant().learn(None, x, y, 4)
    later = Discriminant().learn(memory, other, y, 4)
    assert (later["shrinkage"], later["temperature"]) == (memory["shrinkage"], memory["temperature"])
    assert 0 < memory["shrinkage"] < 1 and memory["temperature"] > 0
    assert isinstance(Discriminant(), Teachable) and isinstance(Discriminant(), FewShot)


def test_a_class_without_examples_is_never_chosen(data):
    x, y, other = data
    layer = Discriminant()(x, np.where(y == 3, 4, y), 6)
    answered = outputs(layer, other)
    assert set(answered.argmax(1)) == {0, 1, 2, 4}
    assert (answered[:, [3, 5]].max(1) < answered[:, [0, 1, 2, 4]].min(1)).all()
    only = outputs(Discriminant()(x, np.ones(len(y), int), 3), other)
    assert (only.argmax(1) == 1).all() and np.isfinite(only).all()


def test_classes_are_equally_probable_however_many_examples_each_has(tensorflow):
    """Half-way between two classes no answer is better, though one has 15 times the examples (log 15 is 2.7)."""
    y = np.repeat([0, 1], [6000, 400])
    x = (np.random.default_rng(0).normal(0, 1, (len(y), 4)) + np.where(y, 2, -2)[:, None]).astype("float32")
    solver = Discriminant(shrinkage=0.0)
    memory = {**solver.learn(None, x, y, 2), "temperature": np.array(1.0)}
    between = outputs(solver.layer(memory), np.zeros((1, 4), "float32"))[0]
    assert abs(between[0] - between[1]) < 0.6


def test_other_classes_are_learnt_by_ridge_in_the_space_where_the_known_ones_are_round(data):
    x, y, _ = data
    solver = Discriminant(shrinkage=0.3)
    memory = solver.learn(None, x, y, 4)
    few, numbers = features(np.array([0, 1, 2, 2, 1]) + 4, seed=5), np.array([0, 1, 2, 2, 1])
    scaling = Scaling.of(x)
    scaled = (np.concatenate([x, few]).astype(np.float64) - scaling.mean) / scaling.scale
    rows, new = scaled[: len(x)], scaled[len(x) :]
    within = sum(np.cov(rows[y == k].T, bias=True) * (y == k).sum() for k in range(4)) / len(y)
    shrunk = 0.7 * within + 0.3 * np.trace(within) / len(within) * np.eye(len(within))
    inverse = np.linalg.inv(shrunk)
    lengths = np.sqrt(np.einsum("nd,de,ne->n", new, inverse, new))
    cosines = new @ inverse @ new.T / np.outer(lengths, lengths)
    expected = cosines @ np.linalg.solve(cosines + np.eye(len(few)), np.eye(3)[numbers])
    given = outputs(solver.few(memory)(few, numbers, 3), few)
    np.testing.assert_allclose(given / given.max() * expected.max(), expected, atol=1e-4)
    assert (given.argmax(1) == numbers).all()
