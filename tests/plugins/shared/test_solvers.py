"""Solvers give scikit-learn's classifiers as Keras layers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from helpers.tflite import run_tflite
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC
from tlapp_plugins.shared import model_selection
from tlapp_plugins.shared.kernel_solvers import Neighbours, RbfSvm
from tlapp_plugins.shared.solver_layers import Scaling
from tlapp_plugins.shared.solvers import LinearSvm, Logistic

SOLVERS = (Logistic(), LinearSvm(), RbfSvm(), Neighbours())


def names(solver):
    return type(solver).__name__


def features(labels, seed=0, size=24, noise=1.0):
    """Non-negative features of very different scales, as a network's are; the last one is dead."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(0.3, 1, (max(labels) + 1, size))
    x = np.maximum(centres[labels] + rng.normal(0, noise, (len(labels), size)), 0) * np.geomspace(0.01, 1, size)
    x[:, -1] = 0
    return x.astype("float32")


@pytest.fixture(scope="module")
def data():
    labels = np.arange(180) % 4
    return features(labels), labels, features(labels, seed=1)


def outputs(layer, x):
    return np.asarray(layer(x))


def scaled(x, other):
    scaling = Scaling.of(x)
    return scaling.apply(x), scaling.apply(other)


@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_gives_scikit_learns_probabilities(data, classes):
    x, y, other = data
    few = y < classes
    a, b = scaled(x[few], other)
    ours = softmax(outputs(Logistic(penalty=0.01)(x[few], y[few], classes), other), axis=1)
    same = Logistic().estimator(0.01, final=True).fit(a, y[few]).predict_proba(b)
    np.testing.assert_allclose(ours, same, atol=1e-4)
    exact = LogisticRegression(C=100, tol=1e-8, max_iter=5000).fit(a.astype(float), y[few]).predict_proba(b)
    np.testing.assert_allclose(ours, exact, atol=1e-2)


def test_svms_decide_as_scikit_learn(data):
    x, y, other = data
    a, b = scaled(x, other)
    svc = OneVsRestClassifier(SVC(C=3, gamma=RbfSvm.gamma)).fit(a, y)
    linear = LinearSVC(C=3, random_state=0, max_iter=20_000).fit(a, y)
    for solver, theirs in ((LinearSvm(penalty=1 / 3), linear), (RbfSvm(penalty=1 / 3), svc)):
        ours = outputs(solver(x, y, 4), other)
        decisions = theirs.decision_function(b)
        np.testing.assert_array_equal(ours.argmax(1), decisions.argmax(1))
        ratio = ours / decisions
        np.testing.assert_allclose(ratio, np.median(ratio), rtol=0.05)


def test_knn_votes_as_scikit_learn(data):
    x, y, other = data
    a, b = scaled(x, other)
    layer = Neighbours(k=7)(x, y, 4)
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b)]
    temperature = Neighbours(k=7).choose(unit[0], y).temperature
    floor = Neighbours(k=7).choose(unit[0], y).floor
    knn = KNeighborsClassifier(7, weights=lambda d: np.exp(-d / temperature), metric="cosine").fit(a, y)
    np.testing.assert_allclose(np.exp(outputs(layer, other)) - floor, knn.predict_proba(b), atol=1e-4)


@pytest.mark.parametrize("solver", SOLVERS, ids=names)
def test_right_and_calibrated(solver, data):
    x, y, other = data
    probabilities = softmax(outputs(solver(x, y, 4), other), axis=1)
    assert (probabilities.argmax(1) == y).mean() > 0.85
    assert -np.log(probabilities[range(len(y)), y]).mean() < 0.4


@pytest.mark.parametrize("solver", SOLVERS, ids=names)
def test_classes_with_few_or_no_examples(solver):
    y = np.array([0] * 30 + [1] * 30 + [3] * 2 + [4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = outputs(solver(features(y), y, 6), features(y, seed=1))
    assert result.shape == (len(y), 6)
    assert np.isfinite(result).all()
    assert not set(result.argmax(1)) & {2, 5}
    assert (result.argmax(1) == y)[:60].mean() > 0.9


@pytest.mark.parametrize("solver", SOLVERS, ids=names)
@pytest.mark.parametrize("y", [[2] * 5, [0, 1, 2], [0, 1], [0, 2, 2, 0, 0]], ids=["one class", "one each", "two", "gap"])
def test_hardly_any_examples(solver, y):
    y = np.array(y)
    x = features(y, noise=0.1)
    assert (outputs(solver(x, y, 3), x).argmax(1) == y).all()


@pytest.mark.parametrize("solver", SOLVERS, ids=names)
def test_equal_features_are_survived(solver):
    result = outputs(solver(np.ones((9, 5), "float32"), np.arange(9) % 3, 3), np.ones((2, 5), "float32"))
    assert np.isfinite(result).all()


@pytest.mark.parametrize("solver", SOLVERS, ids=names)
def test_deterministic(solver, data):
    x, y, other = data
    np.testing.assert_array_equal(outputs(solver(x, y, 4), other), outputs(solver(x, y, 4), other))


@pytest.mark.parametrize("solver", SOLVERS, ids=names)
def test_the_scale_of_the_features_does_not_matter(solver, data):
    x, y, other = data
    one, hundred = outputs(solver(x, y, 4), other), outputs(solver(100 * x, y, 4), 100 * other)
    np.testing.assert_allclose(softmax(one, axis=1), softmax(hundred, axis=1), atol=0.02)


@pytest.mark.parametrize("solver", SOLVERS, ids=names)
def test_opens_in_safe_mode_and_converts_with_builtin_operations(solver, data, tmp_path):
    import keras

    x, y, other = data
    inputs = keras.Input((x.shape[1],))
    model = keras.Model(inputs, solver(x, y, 4)(inputs))
    expected = outputs(model, other)
    model.save(tmp_path / "model.keras")
    opened = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(opened, other), expected)
    np.testing.assert_allclose(run_tflite(opened, other, tmp_path), expected, atol=1e-4)


def test_splits_hold_each_example_out_once_and_single_ones_never():
    labels = np.array([0] * 10 + [1] * 2 + [2])
    parts = list(model_selection.splits(labels, 3))
    assert sorted(np.concatenate([test for _, test in parts])) == list(range(12))
    for train, test in parts:
        assert not set(train) & set(test)
        assert set(labels[train]) == {0, 1, 2}


def test_walk_finds_the_valley_on_either_side():
    def evaluate(x):
        return model_selection.Choice(x, 1.0, abs(x - target))

    for target in (0, 1, 3, 6):
        assert model_selection.walk(range(7), 3, evaluate).setting == target


def test_temperature_restores_the_sharpness_of_scaled_outputs():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    labels = np.array([rng.choice(3, p=p) for p in softmax(logits, axis=1)])
    assert model_selection.fit_temperature(5 * logits, labels) == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize("solver", SOLVERS, ids=names)
def test_weights_raise_the_recall_of_a_rare_class(solver):
    labels = np.array([0] * 170 + [1] * 14)
    x, y = features(labels, noise=2.5), np.arange(400) % 2
    other = features(y, seed=1, noise=2.5)
    weights = np.where(labels == 1, 184 / 28, 184 / 340)
    plain, weighted = (each(x, labels, 2) for each in (solver, solver.weighted(weights)))
    recalls = [(outputs(layer, other).argmax(1) == y)[y == 1].mean() for layer in (plain, weighted)]
    assert recalls[1] > recalls[0] + 0.1


def test_a_weight_counts_as_so_many_examples(data):
    x, y, other = data
    solver, weights = Logistic(penalty=0.1), np.where(np.arange(len(y)) % 3 == 0, 3, 1)  # 0.01 stops early, by the processor
    weighted, repeated = solver.weighted(weights), np.repeat(np.arange(len(y)), weights)
    same = Logistic(penalty=0.1).estimator(0.1, final=True).fit(scaled(x, x)[0][repeated], y[repeated])
    expected = same.predict_proba(scaled(x, other)[1])
    gaps = [abs(softmax(outputs(each(x, y, 4), other), axis=1) - expected).max() for each in (weighted, solver)]
    assert gaps[0] < 0.01
    assert gaps[1] > 0.1


def test_held_out_examples_count_by_their_weights():
    labels, outputs_of = np.array([0, 1] * 20), {1.0: [2.0, 0.0], 2.0: [0.0, 2.0]}

    def scores(setting, train, test):
        return np.tile(outputs_of[setting], (len(test), 1))

    for heavy, best in ((0, 1.0), (1, 2.0)):
        weights = np.where(labels == heavy, 1.9, 0.1)
        assert (
            model_selection.cross_validate(labels, 2, (1.0, 2.0), 1.0, scores, calibrate=False, weights=weights).setting == best
        )
