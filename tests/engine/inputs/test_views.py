"""Views of a picture: as it is, a little nearer, a little farther."""

from __future__ import annotations

import numpy as np
import pytest

from tlapp.contracts import Episodes, ImageInput, Input
from tlapp.engine.inputs import reader
from tlapp.engine.inputs.views import frame, framed, mean_of_views
from tlapp.engine.options import RunOptions
from tlapp.engine.training.episodes import judge

SIZE = 50


def square(side):
    """A white square of that side in the middle of a black picture."""
    picture = np.zeros((1, SIZE, SIZE, 3), "uint8")
    rows = slice((SIZE - side) // 2, (SIZE + side) // 2)
    picture[:, rows, rows] = 255
    return picture


@pytest.mark.parametrize(("copy", "size"), [(0, 1), (1, 1 / 0.84), (2, 1 / 1.16)])
def test_a_square_gets_larger_nearer_and_smaller_farther(copy, size, tensorflow):
    seen = np.asarray(frame(square(20), 0, copy))
    assert seen.shape == (1, SIZE, SIZE, 3) and seen.min() >= 0 and seen.max() <= 255
    assert np.sqrt(seen.mean() / 255 * SIZE**2) == pytest.approx(20 * size, rel=0.02)


def test_beyond_the_edge_the_picture_is_mirrored(tensorflow):
    assert np.asarray(frame(np.full((1, SIZE, SIZE, 3), 255, "uint8"), 0, 2)).min() == pytest.approx(255)


def test_only_pictures_have_views():
    pictures = reader(ImageInput(SIZE), RunOptions())
    assert framed(1, pictures) is None
    assert framed(3, pictures).views == 3
    assert framed(3, object.__new__(type("Others", (Input,), dict.fromkeys(Input.__abstractmethods__)))) is None


def test_the_mean_is_taken():
    np.testing.assert_allclose(mean_of_views(lambda view: np.array([[float(view)]]), 3), [[1.0]])


def test_episodes_learn_from_the_views_and_judge_the_pictures_as_they_are():
    labels, features = np.repeat(np.arange(4), 5), np.arange(20.0)[:, None]

    def learn(x, y, classes):
        assert (x >= 100).all()

        def layer(asked):
            assert (asked < 100).all()
            return np.eye(classes)[np.zeros(len(asked), int)]

        return layer

    assert judge(Episodes(2, 1, 2, 5), learn, features, labels, 0, features + 100)["accuracy"] == 0.5
