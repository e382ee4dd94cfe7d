"""A head in closed form is fitted again on train and val; val is measured before; what val chose is refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny_place import furnish, of
from tlapp_plugins.shared.discriminant import Discriminant

import tlapp
from tlapp.engine.report import Silent
from tlapp.errors import UserError
from tlapp.testing import SIZE


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    return furnish(tmp_path_factory.mktemp("refit"), each=20)


class Notes(Silent):
    def __init__(self):
        self.said = []

    def note(self, message):
        self.said.append(message)


def settings(place, run, **more):
    shared = of(place)
    return {**shared, "plugin": "feature-extract", "classifier": "lda", "run": str(run), **more}


def test_the_head_is_that_of_train_and_val_and_val_is_measured_before(place, tmp_path):
    told = [Notes(), Notes()]
    plain = tlapp.train(reporter=told[0], **settings(place, tmp_path / "plain", refit=False))
    again = tlapp.train(reporter=told[1], **settings(place, tmp_path / "again"))
    assert [any("fitted once more, on train and val" in each for each in notes.said) for notes in told] == [False, True]
    assert again.metrics["val"] == plain.metrics["val"]
    old, new = plain.files.arrays(), again.files.arrays()
    counts = plain.metrics["images"]
    assert old["sums"][-1].sum() == counts["train"] and new["sums"][-1].sum() == counts["train"] + counts["val"]
    import keras
    from PIL import Image

    rows = [row for split in ("train", "val") for row in again.files.splits() if row["split"] == split]
    images = [np.asarray(Image.open(row["path"]).convert("RGB").resize((SIZE, SIZE))) for row in rows]
    features = np.asarray(keras.saving.load_model(place / "tiny.keras")(np.stack(images).astype("float32")))
    labels = np.array([again.labels.index(row["label"]) for row in rows])
    whole = Discriminant().learn(None, features, labels, 3)
    np.testing.assert_allclose(new["gram"], whole["gram"], rtol=1e-4, atol=1e-3)
    for one, other in zip(again.model.layers[-2].get_weights(), Discriminant().layer(new).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_refused_where_val_chose(place, tmp_path):
    with pytest.raises(UserError, match="refit=True: has no effect, because val chooses among the epochs of the last phase"):
        tlapp.train(**{**settings(place, tmp_path / "no", refit=True, plugin="freeze"), "classifier": None})
    assert not (tmp_path / "no").exists()
