"""Classifiers of a few examples: each beside a reference, and their probabilities as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from tlapp_plugins.shared.discriminant import Discriminant, covariance
from tlapp_plugins.shared.support import ALONE, CLASSIFIERS, PENALTY, Space, learn, logistic, ridge, unit

WAY, SIZE = 4, 6


def examples(shot, noise=0.5, seed=0, size=SIZE, way=WAY):
    """Directions about those of classes, and their labels, one class after the other."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(way), shot)
    centres = unit(np.random.default_rng(1).normal(size=(way, size)))
    return unit(centres[labels] + noise * rng.normal(size=(len(labels), size))), labels


@pytest.mark.parametrize("shot", [1, 5])
def test_logistic_regression_is_scikit_learns(shot):
    x, labels = examples(shot)
    ours = logistic(x, np.eye(WAY)[labels])
    theirs = LogisticRegression(C=1 / PENALTY, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(x, labels)
    np.testing.assert_allclose(ours - ours.mean(axis=1, keepdims=True), theirs.coef_.T, atol=2e-3)


def test_ridge_is_scikit_learns():
    x, labels = examples(3)
    hot = np.eye(WAY)[labels]
    np.testing.assert_allclose(ridge(x, hot), Ridge(alpha=1, fit_intercept=False).fit(x, hot).coef_.T, atol=1e-9)


def test_cosine_compares_with_the_directions_of_the_class_means():
    x, labels = examples(3)
    means = np.stack([x[labels == n].mean(axis=0) for n in range(WAY)])
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(CLASSIFIERS["cosine"](x, np.eye(WAY)[labels]), expected.T)


def test_known_classes_are_round_in_their_space():
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(SIZE, SIZE))
    features = rng.normal(size=(4000, SIZE)) @ spread + 3
    labels = np.arange(4000) % 3
    memory = Discriminant(shrinkage=0.0).learn(None, features, labels, 3)
    space = Space.of(*covariance(memory["gram"], memory["sums"], 0.0))
    centred = features - np.stack([features[labels == n].mean(axis=0) for n in range(3)])[labels]
    np.testing.assert_allclose(np.cov((centred @ space.root).T), np.eye(SIZE), atol=0.01)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_the_layer_gives_the_outputs_of_the_kernel(classifier, tensorflow):
    rng = np.random.default_rng(0)
    known, labels = rng.normal(size=(60, SIZE)), np.arange(60) % 5
    solver = Discriminant(shrinkage=0.2, classifier=classifier)
    memory = solver.learn(None, known, labels, 5)
    space = Space.of(*covariance(memory["gram"], memory["sums"], 0.2))
    support, truth = rng.normal(size=(6, SIZE)), np.arange(6) % 3
    asked = rng.normal(size=(4, SIZE)).astype("float32")
    layer = solver.few(memory)(support, truth, 3)
    expected = space.directions(asked) @ learn(classifier, space.directions(support), truth, 3)
    np.testing.assert_allclose(np.asarray(layer(asked)), expected, rtol=1e-3, atol=1e-3)


def calibration_error(outputs, labels, bins=10):
    """The expected calibration error (Guo et al. 2017): how far confidence is from accuracy, in bins of confidence."""
    odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    sure, right = odds.max(axis=1), odds.argmax(axis=1) == labels
    place = np.minimum((sure * bins).astype(int), bins - 1)
    return sum(abs(sure[place == n].mean() - right[place == n].mean()) * (place == n).mean() for n in set(place))


@pytest.mark.parametrize(("classifier", "noise"), [("ridge", 0.8), ("cosine", 0.8), ("ridge", 1.5), ("logistic", 1.5)])
def test_probabilities_are_calibrated_where_a_class_has_two_examples(classifier, noise):
    """Of classes that are hard to tell apart: with the temperature for one example a class, the answers would be too sure."""
    fixed, fitted = [], []
    for seed in range(8):
        x, labels = examples(5, noise, seed, 32, 10)
        asked, truth = examples(60, noise, 100 + seed, 32, 10)
        fixed.append((asked @ CLASSIFIERS[classifier](x, np.eye(10)[labels]) / ALONE[classifier], truth))
        fitted.append((asked @ learn(classifier, x, labels, 10), truth))
    before, after = (calibration_error(*(np.concatenate(part) for part in zip(*each, strict=True))) for each in (fixed, fitted))
    assert before > 0.1 and after < before / 2, (before, after)


def test_with_one_example_a_class_the_temperature_is_the_stated_one():
    x, labels = examples(1)
    np.testing.assert_allclose(learn("ridge", x, labels, WAY), ridge(x, np.eye(WAY)) / ALONE["ridge"])


def test_one_class_of_two_examples_is_enough_to_be_judged_by():
    x, labels = examples(2)
    assert np.isfinite(learn("ridge", x[:-1], labels[:-1], WAY)).all()
