"""Losses, scores and styles for another domain, each beside a small reference in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from tlapp_plugins.self_supervised import crop_and_colour, rotated, simclr, simsiam, vicreg
from tlapp_plugins.self_training import Surest
from tlapp_plugins.shared import domain_losses, styles
from tlapp_plugins.shared.mixing import adain, mixstyle

from tlapp.engine.training.score import LOYALTY, SURENESS, equally_sure, information, look, nuclear

RNG = np.random.default_rng(5)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def entropies(p):
    return -(p * np.log(p)).sum(axis=-1)


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
    assert surer.terms == pytest.approx(before.terms, abs=1e-3) and np.array_equal(surer.said, before.said)


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


def test_surest_takes_the_same_share_of_each_class():
    p = softmax(RNG.normal(size=(60, 3)) * 2)
    labels, weights = Surest(0.5)(np.zeros((60, 1)), p)
    said = p.argmax(axis=1)
    assert np.array_equal(labels.argmax(axis=1), said) and weights.sum() == pytest.approx(60)
    for label in range(3):
        rows = said == label
        assert (weights[rows] > 0).sum() == max(1, round(rows.sum() / 2))
        assert p[rows & (weights > 0)].max(axis=1).min() >= p[rows & (weights == 0)].max(axis=1).max()


def test_styles_towards_the_target_have_its_statistics(tensorflow):
    ours = RNG.uniform(60, 120, (4, 16, 16, 3)).astype(np.float32)
    theirs = RNG.uniform(100, 180, (4, 16, 16, 3)).astype(np.float32)
    moved = styles.colour(ours, 0, theirs).numpy()
    assert np.allclose(moved.mean(axis=(1, 2)), theirs.mean(axis=(1, 2)), atol=0.5)
    assert np.allclose(moved.std(axis=(1, 2)), theirs.std(axis=(1, 2)), atol=0.5)
    matched = styles.histogram(ours, 0, theirs).numpy()
    assert np.allclose(np.sort(matched.reshape(4, -1, 3), axis=1), np.sort(theirs.reshape(4, -1, 3), axis=1))
    assert np.array_equal(matched[0, :, :, 0].argmax(), ours[0, :, :, 0].argmax())
    spectrum = styles.fourier(ours, 0, theirs).numpy()
    assert np.allclose(spectrum.mean(axis=(1, 2)), theirs.mean(axis=(1, 2)), atol=1)
    assert np.allclose(styles.fourier(ours, 0, ours), ours, atol=0.05)


@pytest.mark.parametrize("style", [*styles.PLAIN.values(), crop_and_colour])
def test_plain_styles_stay_pictures_and_repeat(style, tensorflow):
    ours = RNG.uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    once = style(ours, 3).numpy()
    assert once.shape == ours.shape and once.min() >= 0 and once.max() <= 255 and not np.allclose(once, ours)
    assert np.array_equal(once, style(ours, 3).numpy())


def test_only_the_keras_styles_leave_python_s_generator_alone(tensorflow):
    import random

    random.seed(4)
    expected = random.random()
    random.seed(4)
    styles.augmix(RNG.uniform(0, 255, (2, 32, 32, 3)).astype(np.float32), 1)
    assert random.random() == expected


def test_what_some_styles_do(tensorflow):
    ours = RNG.uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    assert set(np.unique(styles.silhouette(ours, 1))) == {0.0, 255.0}
    white, grey = (np.full((2, 32, 32, 3), level, np.float32) for level in (255.0, 100.0))
    assert np.allclose(styles.recolour(white, 1), 255)
    assert len(np.unique(styles.recolour(grey, 1)[0].numpy().reshape(-1, 3), axis=0)) == 1
    assert np.allclose(styles.shrink(grey, 1), 100) and np.allclose(styles.crop(grey, 1), 100)
    spot = np.full((8, 32, 32, 3), 255, np.float32)
    spot[:, 4:28, 4:28] = 0
    dark = (styles.shrink(spot, 1).numpy() < 128).sum(axis=(1, 2, 3)) / (spot < 128).sum(axis=(1, 2, 3))
    assert dark.max() <= 1.1 and dark.min() < 0.7 and dark.min() > 0.1
    assert np.array_equal(rotated(ours, 4 * 9 + 1), np.rot90(ours, 1, axes=(1, 2)))


def test_adain_gives_the_other_s_statistics_and_mixstyle_a_neighbour_s(tensorflow, monkeypatch):
    import keras

    x, other = (RNG.normal(loc, 2, size=(4, 6, 6, 3)).astype(np.float32) for loc in (1, 5))
    monkeypatch.setattr(keras.random, "uniform", keras.ops.ones)
    moved = adain(x, other).numpy()
    assert np.allclose(moved.mean(axis=(1, 2)), other.mean(axis=(1, 2)), atol=1e-4)
    assert np.allclose(moved.std(axis=(1, 2)), other.std(axis=(1, 2)), atol=1e-4)
    monkeypatch.setattr(keras.random, "beta", lambda shape, *shape_of_it: 0.5 * keras.ops.ones(shape))
    mixed, before = mixstyle(x, None).numpy(), np.roll(x, 1, axis=0)
    assert np.allclose(mixed.mean(axis=(1, 2)), (x.mean(axis=(1, 2)) + before.mean(axis=(1, 2))) / 2, atol=1e-4)
    assert np.allclose(mixed.std(axis=(1, 2)), (x.std(axis=(1, 2)) + before.std(axis=(1, 2))) / 2, atol=1e-4)


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
