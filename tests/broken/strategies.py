"""Strategies that each break one rule of the contract."""

from __future__ import annotations

import contextlib
import itertools
import socket
from typing import Any, ClassVar

import numpy as np

from tlapp.contracts import Augment, Field, Fit, Plan, Strategy


class Good(Strategy):
    """Train the last stage."""

    last: int = Field(1, ge=1, description="stages to train")
    fit: ClassVar[dict[str, Any]] = {}

    def plan(self, task, backbone):
        return Plan((Fit(**{"name": "tune", "rates": backbone.last(self.last), "epochs": 9, "learning_rate": 1e-2, **self.fit}),))


class NoHelp(Good):
    last: int = Field(1, ge=1, description="stages to train")


class NoDescription(Good):
    """Forget to say what an option is for."""

    width: int = 3


class NoDefault(Good):
    """Want an answer before the first run."""

    width: int = Field(description="of something")


class Untypable(Good):
    """Want a table."""

    table: dict[str, int] = Field({}, description="of something")


class Refuses(Good):
    """Have a default of the wrong kind."""

    width: int = Field(0, ge=1, description="of something")


class Takes(Good):
    """Take a name of the engine's."""

    batch_size: int = Field(8, description="of something")


class Later(Good):
    """Be written for a later contract."""

    contract = "1.77"


class Forgets(Good):
    """Not survive YAML."""

    names: Any = Field((1, 2), description="a tuple, which comes back from YAML as a list")


COUNT = itertools.count()


class Impure(Good):
    """Plan something else each time."""

    def plan(self, task, backbone):
        return Plan((Fit(name=f"tune-{next(COUNT)}", rates=backbone.frozen(), epochs=1, learning_rate=1e-3),))


class Closes(Good):
    """Have a loss that holds something else each time."""

    def plan(self, task, backbone):
        number = next(COUNT)
        phase = Fit(name="tune", rates=backbone.frozen(), epochs=1, learning_rate=1e-3, loss=lambda net, batch: {"n": number})
        return Plan((phase,))


class Heavy(Good):
    """Import Keras while planning."""

    def plan(self, task, backbone):
        from keras.layers import Dense  # noqa: F401

        return super().plan(task, backbone)


class Misses(Good):
    """Know three stages."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates={"stage1": 0.0, "stage2": 0.0, "stage3": 1.0}, epochs=1, learning_rate=1e-3),))


class Flat(Good):
    """Learn nothing."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(1), epochs=9, learning_rate=1e-2, loss=flat),))


def flat(net, batch):
    return {"loss": 0.0 * net.task_loss(batch["train"]) + 1.0}


class Meddles(Good):
    """Move a frozen weight in its graft's layer."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(1), epochs=9, learning_rate=1e-2),), move_kernel)


def move_kernel(backbone):
    return meddle(backbone, "stem_conv", "kernel")


def meddle(backbone, layer, weight):
    """The graph with a layer at its end that changes a weight of another one in every training step."""
    import keras

    value = getattr(backbone.graph.get_layer(layer), weight)

    class Meddler(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

        def call(self, x, training=False):
            if training:
                value.assign(value * 1.01)
            return x * self.scale

    return keras.Model(backbone.graph.inputs, Meddler(name="meddler")(backbone.graph.outputs[0]))


class Elsewhere(Good):
    """Train a part that the model is deployed without, so that val sees nothing of it."""

    def plan(self, task, backbone):
        loss, parts = elsewhere, {"other": make_other}
        return Plan((Fit(name="tune", rates=backbone.frozen(), epochs=9, learning_rate=1e-2, loss=loss, parts=parts),))


def elsewhere(net, batch):
    import keras

    train = batch["train"]
    outputs = net.part("other")(net.features(train.x))
    return {"loss": keras.ops.mean(keras.losses.categorical_crossentropy(train.y, outputs, from_logits=True))}


def make_other():
    import keras

    return keras.layers.Dense(3)


class Still(Good):
    """Call a stage live that its loss does not reach."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(2), epochs=9, learning_rate=1e-2, loss=stopped),))


def stopped(net, batch):
    import keras

    train = batch["train"]
    outputs = net.head(keras.ops.stop_gradient(net.features(train.x)))
    return {"loss": keras.ops.mean(keras.losses.categorical_crossentropy(train.y, outputs, from_logits=True))}


class Unseeded(Good):
    """Draw random numbers of its own."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(1), epochs=9, learning_rate=1e-2, augment=Augment(noise)),))


def noise(pictures, seed):
    import numpy as np

    return np.clip(pictures + np.random.default_rng().uniform(0, 30, pictures.shape), 0, 255).astype("float32")


class MovesStatistics(Good):
    """Move a batch norm's statistics in its graft's layer, though no phase asks for it."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(1), epochs=9, learning_rate=1e-2),), move_statistics)


def move_statistics(backbone):
    return meddle(backbone, "top_norm", "moving_mean")


class Remembers(Good):
    """Have a sampler that counts its calls: after a resume it begins at 0 again."""

    def plan(self, task, backbone):
        phase = Fit(name="tune", rates=backbone.last(1), epochs=9, learning_rate=1e-2, sampler=Counting())
        return Plan((phase,))


class Counting:
    """Draws batches whose rows depend on how often it was called."""

    def __init__(self):
        self.calls = 0

    def batches(self, labels, rng, steps):
        self.calls += 1
        for step in range(steps):
            yield (np.arange(6) * self.calls + step) % len(labels)


class Calls(Good):
    """Call home."""

    def plan(self, task, backbone):
        with contextlib.suppress(OSError):
            socket.create_connection(("198.51.100.7", 80), timeout=0.1)
