"""Metrics and class weights are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest


def test_class_weights_only_where_classes_differ():
    from tlapp.engine.data.classes import class_weights

    assert np.array_equal(class_weights(np.array([0, 0, 0, 1]), 2), [1, 1])
    uneven = class_weights(np.array([0] * 8 + [1] * 2), 2)
    assert uneven[1] == pytest.approx(4 * uneven[0])
    assert np.mean(uneven[np.array([0] * 8 + [1] * 2)]) == pytest.approx(1)


def test_metrics_against_scikit_learn():
    from sklearn import metrics as reference

    from tlapp.engine.data.metrics import metrics

    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 200)
    labels = rng.integers(0, 3, 200)
    found, predicted = metrics(probabilities, labels, "abcd"), probabilities.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted))
    recall = reference.recall_score(labels, predicted, labels=[0, 1, 2], average="macro")
    assert found["balanced_accuracy"] == pytest.approx(recall)
    assert found["macro_f1"] == pytest.approx(reference.f1_score(labels, predicted, average="macro"))
    assert found["loss"] == pytest.approx(reference.log_loss(labels, probabilities, labels=range(4)))
