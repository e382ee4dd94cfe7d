"""Losses between domains are those of the papers."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.probabilities import entropies, softmax
from tlapp_plugins.self_supervised import simclr, simcse, simsiam, vicreg
from tlapp_plugins.shared import domain_losses

RNG = np.random.default_rng(5)


def test_class_confusion_is_the_paper_s(tensorflow):
    logits = RNG.normal(size=(12, 4)).astype(np.float32) * 3
    p = softmax(logits / 2.5)
    weight = 1 + np.exp(-entropies(p))
    weight = 12 * weight / weight.sum()
    confusion = np.zeros((4, 4))
    for i in range(12):
        confusion += weight[i] * np.outer(p[i], p[i])
    confusion /= confusion.sum(axis=1, keepdims=True)
    expected = (confusion.sum() - np.trace(confusion)) / 4
    assert float(domain_losses.class_confusion(logits)) == pytest.approx(expected, rel=1e-4)


def test_coral_is_the_paper_s(tensorflow):
    a, b = (RNG.normal(size=(n, 6)).astype(np.float32) for n in (9, 14))
    expected = np.square(np.cov(a.T) - np.cov(b.T)).sum() / (4 * 36)
    assert float(domain_losses.correlation_distance(a, b)) == pytest.approx(expected, rel=1e-4)


def test_domain_loss_and_accuracy(tensorflow):
    a, b = (RNG.normal(size=(8, 1)).astype(np.float32) for _ in range(2))
    expected = (np.log1p(np.exp(-a)).mean() + np.log1p(np.exp(b)).mean()) / 2
    assert float(domain_losses.domain_loss(a, b)) == pytest.approx(expected, rel=1e-5)
    right = ((a > 0).mean() + (b < 0).mean()) / 2
    assert float(domain_losses.domain_accuracy(a, b)) == pytest.approx(right)


def test_ramp_and_what_cdan_sees(tensorflow):
    steps = np.linspace(0, 1, 5).astype(np.float32)
    assert np.allclose(domain_losses.ramp(steps), 2 / (1 + np.exp(-10 * steps)) - 1, atol=1e-6)
    features, p = RNG.normal(size=(6, 3)).astype(np.float32), softmax(RNG.normal(size=(6, 4))).astype(np.float32)
    expected = np.stack([np.outer(f, q).reshape(-1) for f, q in zip(features, p, strict=True)])
    assert np.allclose(domain_losses.outer(features, p), expected, atol=1e-6)


def test_reversal_turns_the_gradient_by_its_factor(tensorflow):
    tf = tensorflow
    x = tf.Variable([1.0, -2.0])
    for factor in (0.0, 0.3, 1.0):
        with tf.GradientTape() as tape:
            y = domain_losses.reverse(x, tf.constant(factor))
            loss = tf.reduce_sum(y * [3.0, 5.0])
        assert np.allclose(y, [1.0, -2.0])
        assert np.allclose(tape.gradient(loss, x), [-3.0 * factor, -5.0 * factor])


def test_simclr_and_vicreg_are_the_papers(tensorflow):
    a, b = (RNG.normal(size=(6, 4)).astype(np.float32) for _ in range(2))
    z = np.concatenate([a, b])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    likeness = np.exp(z @ z.T / 0.2)
    losses = [-np.log(likeness[i, (i + 6) % 12] / (likeness[i].sum() - likeness[i, i])) for i in range(12)]
    assert float(simclr(a, b)) == pytest.approx(np.mean(losses), rel=1e-3)
    expected = 25 * np.square(a - b).mean()
    for each in (a, b):
        covariance = np.cov(each.T)
        expected += 12.5 * np.maximum(0, 1 - np.sqrt(np.diag(covariance) + 1e-4)).mean()
        expected += (np.square(covariance).sum() - np.square(np.diag(covariance)).sum()) / 4
    assert float(vicreg(a, b)) == pytest.approx(expected, rel=1e-3)


def test_standardise_by_the_batch(tensorflow):
    x = RNG.normal(3, 2, size=(50, 4)).astype(np.float32)
    assert np.allclose(domain_losses.standardise(x), (x - x.mean(axis=0)) / x.std(axis=0), atol=1e-4)


def test_simsiam_is_the_paper_s_and_stands_still_on_one_side(tensorflow):
    tf = tensorflow
    a, b = (RNG.normal(size=(6, 4)).astype(np.float32) for _ in range(2))
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert float(simsiam(a, b)) == pytest.approx(-cosine.mean(), rel=1e-4)
    x = tf.Variable(b)
    with tf.GradientTape() as tape:
        loss = simsiam(a, x * 1.0)
    assert tape.gradient(loss, x) is None


def test_simcse_asks_which_other_pass_is_ones_own(tensorflow):
    a, b = (RNG.normal(size=(6, 5)).astype(np.float32) for _ in range(2))
    u, v = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (a, b))
    expected = -np.log(np.diag(softmax(u @ v.T / 0.05))).mean()
    assert float(simcse(a, b)) == pytest.approx(expected, rel=1e-3)
