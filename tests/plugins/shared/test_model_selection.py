"""The score that compares models without labels."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.probabilities import entropies, softmax
from tlapp_plugins.shared.rounds import Surest

from tlapp.engine.training.score import LOYALTY, SURENESS, equally_sure, information, look, nuclear

RNG = np.random.default_rng(5)


def test_information_and_nuclear_are_the_papers():
    logits = RNG.normal(size=(30, 5)).astype(np.float32) * 2
    p = softmax(logits)
    expected = (entropies(p.mean(axis=0)) - entropies(p).mean()) / np.log(5)
    assert information(p) == pytest.approx(expected, rel=1e-4)
    assert nuclear(p) == pytest.approx(np.linalg.svd(p, compute_uv=False).sum() / np.sqrt(30 * 5), rel=1e-5)
    sure = np.eye(5)[np.arange(30) % 5]
    assert information(sure) == pytest.approx(1, abs=1e-6) and nuclear(sure) == pytest.approx(1, abs=1e-6)
    assert information(np.full((30, 5), 0.2)) == pytest.approx(0, abs=1e-6)


def test_models_are_made_equally_sure(tensorflow):
    logits = RNG.normal(size=(200, 5)) * 2
    for factor in (0.1, 1, 10):
        p = equally_sure(softmax(logits * factor))
        assert entropies(p).mean() == pytest.approx(SURENESS * np.log(5), abs=1e-3)
        assert np.array_equal(p.argmax(axis=1), logits.argmax(axis=1))
    assert equally_sure(np.full((4, 5), 0.2)) == pytest.approx(np.full((4, 5), 0.2))


def test_being_surer_is_not_being_better():
    logits = RNG.normal(size=(200, 5)) * 2
    before, surer = look(softmax(logits), 0.8), look(softmax(logits * 5), 0.8)
    assert surer.terms == pytest.approx(before.terms, abs=1e-3) and np.array_equal(surer.answers, before.answers)


def test_the_score_likes_answers_of_all_classes_and_what_knows_the_source():
    logits = RNG.normal(size=(200, 5)) * 2
    one_sided = logits + 2 * np.eye(5)[0]
    score = look(softmax(logits), 0.8).terms["score"]
    assert score > look(softmax(one_sided), 0.8).terms["score"]
    assert score - look(softmax(logits), 0.3).terms["score"] == pytest.approx(0.5 * LOYALTY)
    assert look(np.full((4, 5), np.nan), 0.8).terms["score"] < look(np.full((4, 5), 0.2), 0).terms["score"]


def test_answers_of_one_class_are_less_than_any_others():
    """However lively their second thoughts are: at half the entropy those would be worth a third of the score."""
    second = np.eye(5)[1 + np.arange(200) % 4]
    one_class, shy = 5 * np.eye(5)[0] + 4.9 * second, np.eye(5)[np.arange(200) % 3] * 0.1 + RNG.normal(size=(200, 5))
    assert information(equally_sure(softmax(one_class))) > 0.3
    assert look(softmax(one_class), 1.0).terms["score"] < look(softmax(shy), 0.0).terms["score"]
    assert look(softmax(one_class), 1.0).terms["score"] < look(softmax(shy * [1, 0, 0, 0, 0]), 0.0).terms["score"]


def test_surest_takes_the_same_share_of_each_class():
    p = softmax(RNG.normal(size=(60, 3)) * 2)
    labels, weights = Surest(0.5)(np.zeros((60, 1)), p)
    said = p.argmax(axis=1)
    assert np.array_equal(labels.argmax(axis=1), said) and weights.sum() == pytest.approx(60)
    for label in range(3):
        rows = said == label
        assert (weights[rows] > 0).sum() == max(1, round(rows.sum() / 2))
        assert p[rows & (weights > 0)].max(axis=1).min() >= p[rows & (weights == 0)].max(axis=1).max()
