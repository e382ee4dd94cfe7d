"""Styles move the source's images towards the target's."""

from __future__ import annotations

import numpy as np
import pytest
from tlapp_plugins.self_supervised import crop_and_colour, rotated
from tlapp_plugins.shared import styles
from tlapp_plugins.shared.mixing import adain, mixstyle

RNG = np.random.default_rng(5)


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
    assert np.array_equal(rotated(ours, 0, copy=1), np.rot90(ours, 1, axes=(1, 2)))


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
