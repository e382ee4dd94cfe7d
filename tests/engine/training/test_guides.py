"""What a guide says of each example: asked once, kept, and given to the loss."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.one_phase import Tunes, lines

from tlapp.contracts import Augment, Guide, PluginError
from tlapp.testing import tiny_run


class Remembers:
    """A guide that says an example's mean, and remembers how many it was asked about."""

    def __init__(self):
        self.asked = 0

    def __call__(self, x):
        self.asked += len(x)
        return np.asarray(x).mean(axis=(1, 2, 3))[:, None] / 255


def guided(net, batch):
    import keras

    train = batch["train"]
    features = net.features(train.x)
    means = train.guides["mean"]
    keras.ops.cast(train.rows, "float32")
    return {"loss": net.task_loss(train, net.head(features)), "mean": keras.ops.stop_gradient(keras.ops.mean(means))}


@pytest.mark.parametrize(("views", "asked"), [(0, 1), (2, 2)])
def test_a_guide_is_asked_once_an_example_and_copy(views, asked, shapes, tmp_path, tensorflow):
    guide = Remembers()
    augment = {"augment": Augment(darker, views=views, name=f"darker-{views}")} if views else {}
    fit = {"loss": guided, "guides": {"mean": Guide(guide)}, "select": "last", **augment}
    run = tiny_run(Tunes(fit=fit), shapes, tmp_path / "run")
    count = len(run.dataset.streams["train"])
    assert guide.asked == asked * count
    rows = run.dataset.streams["train"].examples.take(np.arange(count))[0]
    means = {1: rows.mean() / 255, 2: rows.mean() / 255 / 2}
    seen = np.mean([epoch.terms["mean"] for epoch in lines(run)])
    assert seen == pytest.approx(means[asked], rel=0.1)  # batches leave a rest out


def darker(pictures, seed, copy=0):
    return pictures / 2


def test_what_a_guide_says_is_kept_from_run_to_run_under_its_key(shapes, tmp_path, tensorflow):
    first, second, other = Remembers(), Remembers(), Remembers()
    for number, (guide, key) in enumerate(((first, "means"), (second, "means"), (other, "other"))):
        fit = {"loss": guided, "guides": {"mean": Guide(guide, key)}, "epochs": 1}
        tiny_run(Tunes(fit=fit), shapes, tmp_path / str(number))
    assert first.asked == other.asked > 0 == second.asked


def test_a_guide_that_says_too_little_is_told(shapes, tmp_path, tensorflow):
    fit = {"loss": guided, "guides": {"mean": Guide(lambda x: 1.0)}}
    with pytest.raises(PluginError, match=r"guide mean must give finite numbers \(\d+, ...\), a row an example. Received: 1.0"):
        tiny_run(Tunes(fit=fit), shapes, tmp_path / "run")
