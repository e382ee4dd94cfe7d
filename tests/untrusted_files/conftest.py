"""A finished run and a small Keras file, both honest."""

from __future__ import annotations

import pytest

from tlapp.contracts import Fit, Plan, Strategy
from tlapp.testing import tiny_run


class Last(Strategy):
    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(1), epochs=1, learning_rate=1e-3),))


@pytest.fixture(scope="module")
def finished(shapes, tmp_path_factory, tensorflow):
    """A finished run of the tiny backbone."""
    folder = tmp_path_factory.mktemp("safety") / "run"
    tiny_run(Last(), shapes, folder)
    settings = (folder / "settings.yaml").read_text()
    (folder / "settings.yaml").write_text(settings.replace("plugin: partial", "plugin: freeze"))
    return folder


@pytest.fixture
def model(tmp_path, tensorflow):
    """A .keras file of three layers."""
    import keras

    path = tmp_path / "model.keras"
    image = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="conv")(image))
    keras.Model(image, keras.layers.Dense(2, activation="softmax")(x)).save(path)
    return path
