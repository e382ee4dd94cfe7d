"""Self-supervised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tlapp_plugins.adapt import Adapt

from tlapp.contracts import Augment, Backbone, Batch, Field, Fit, Net, Plan, Task


class SelfSupervised(Adapt):
    """Learn from the target's pictures alone what stays the same when they are cropped and recoloured; then learn the source."""

    method: Literal["simclr", "vicreg"] = Field("simclr", description="loss between two views of a picture")
    pretrain_epochs: int = Field(10, ge=1, description="epochs on the target's pictures alone")
    width: int = Field(128, ge=2, description="size of the projections that are compared")
    views: int = Field(8, ge=2, description="changed copies of each picture that are kept")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        pretrain = Fit(
            name="pretrain", rates=self.rates(backbone), streams=("target",), epochs=self.pretrain_epochs,
            learning_rate=self.learning_rate, loss=Compare(self.method), parts={"project": Projector(self.width)},
            augment=Augment(crop_and_colour, self.views, "crop-and-colour", per_step=2),
        )  # fmt: skip
        return Plan((pretrain, *self.source(backbone)))


@dataclass(frozen=True)
class Projector:
    """Makes a projector: features -> what is compared."""

    width: int

    def __call__(self) -> Any:
        import keras

        return keras.Sequential([keras.layers.Dense(4 * self.width, "relu"), keras.layers.Dense(self.width)])


@dataclass(frozen=True)
class Compare:
    """The loss between two views of each target picture."""

    method: str

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        a, b = (net.part("project")(net.features(view)) for view in batches["target"].views)
        return {self.method: simclr(a, b) if self.method == "simclr" else vicreg(a, b)}


def simclr(a: Any, b: Any, temperature: float = 0.2) -> Any:
    """NT-Xent of projections (batch, size) of two views (Chen et al. 2020, https://arxiv.org/abs/2002.05709)."""
    import keras

    ops = keras.ops
    z = ops.concatenate([a, b])
    z = z / (ops.norm(z, axis=1, keepdims=True) + 1e-6)
    count = ops.shape(a)[0]
    likeness = ops.matmul(z, ops.transpose(z)) / temperature - 1e9 * ops.eye(2 * count)
    partner = ops.concatenate([ops.arange(count) + count, ops.arange(count)])
    return ops.mean(keras.losses.sparse_categorical_crossentropy(partner, likeness, from_logits=True))


def vicreg(a: Any, b: Any) -> Any:
    """25 invariance + 25 variance + covariance (Bardes et al. 2022, https://arxiv.org/abs/2105.04906)."""
    import keras

    ops = keras.ops
    total = 25.0 * ops.mean(ops.square(a - b))
    for z in (a, b):
        centred = z - ops.mean(z, axis=0)
        rows = ops.cast(ops.shape(z)[0] - 1, "float32")
        covariance = ops.matmul(ops.transpose(centred), centred) / rows
        diagonal = ops.diagonal(covariance)
        total = total + 12.5 * ops.mean(ops.relu(1.0 - ops.sqrt(diagonal + 1e-4)))
        total = total + (ops.sum(ops.square(covariance)) - ops.sum(ops.square(diagonal))) / z.shape[1]
    return total


def crop_and_colour(pictures: Any, seed: int) -> Any:
    """A random crop of 40 to 100 % of the area, a flip, brightness, contrast and saturation."""
    import tensorflow as tf

    count, size = tf.shape(pictures)[0], pictures.shape[1]
    draws = tf.random.stateless_uniform((count, 7), (seed, 1))
    side = tf.sqrt(0.4 + 0.6 * draws[:, 0])
    top, left = draws[:, 1] * (1.0 - side), draws[:, 2] * (1.0 - side)
    boxes = tf.stack([top, left, top + side, left + side], axis=1)
    x = tf.image.crop_and_resize(pictures, boxes, tf.range(count), (size, size))
    x = tf.where(draws[:, 3, None, None, None] < 0.5, tf.reverse(x, [2]), x)
    grey = tf.image.rgb_to_grayscale(x)
    x = grey + (x - grey) * (0.2 + 1.6 * draws[:, 4, None, None, None])
    mean = tf.reduce_mean(x, (1, 2), keepdims=True)
    x = mean + (x - mean) * (0.6 + 0.8 * draws[:, 5, None, None, None])
    return tf.clip_by_value(x * (0.6 + 0.8 * draws[:, 6, None, None, None]), 0.0, 255.0)
