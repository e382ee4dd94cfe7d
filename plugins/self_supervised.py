"""Self-supervised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tlapp_plugins.shared import styles
from tlapp_plugins.shared.adapt import Adapt

from tlapp.contracts import Augment, Backbone, Batch, Field, Fit, Net, Phase, Statistics, Task, UserError, other_than, when

COMPARED = when(method=("simclr", "simsiam", "vicreg"))
"""Views of a picture are compared."""


class SelfSupervised(Adapt):
    """Learn from the target without labels, by comparing changed copies of each example; then train on the source again."""

    method: Literal["simclr", "simsiam", "vicreg", "rotation", "simcse"] = Field(
        "simclr", by_input={"text": "simcse"},
        description="loss between two changed copies of a picture; rotation: predict how far a picture is turned; simcse, for "
        "texts: between two passes of one text, whose dropout differs",
    )  # fmt: skip
    pretrain_epochs: int = Field(10, ge=1, by_input={"text": 1}, description="epochs on only the target's examples")
    width: int = Field(128, ge=2, description="size of the projections that are compared", when=COMPARED)
    views: int = Field(
        8, ge=2, description="changed copies that are cached per picture", when=(COMPARED, when(style=other_than("none")))
    )

    def adapting(self, task: Task, backbone: Backbone) -> tuple[Phase, ...]:
        pictures = backbone.input.kind == "image"
        if pictures == (self.method == "simcse"):
            words = "simcse, which compares passes that differ by dropout, is for texts" if pictures else "it changes pictures"
            instead = "simclr" if pictures else "simcse"
            raise UserError(
                f"{words}, and {backbone.name} takes {backbone.input.words}; choose option method={instead}",
                self.method,
                "method",
            )
        if not self.last:
            raise UserError("no stage trains, so pictures without labels change nothing; use option last=1", 0, "last")
        rates, pace = self.rates(backbone), self.learning_rate
        return (
            Fit(
                name="pretrain", rates=rates, streams=("target",), epochs=self.pretrain_epochs, learning_rate=pace,
                **self.pretext(),
            ),
            Statistics(name="statistics-anew", rates=backbone.frozen(), streams=("target",)),
            Fit(name="fine-tune", rates=rates, epochs=self.epochs, learning_rate=pace, select="target", **self.looks()),
        )  # fmt: skip

    def pretext(self) -> dict[str, Any]:
        """What is to be learnt without labels, as a phase's arguments."""
        if self.method == "rotation":
            return {"loss": upright, "parts": {"turn": turn}, "augment": Augment(rotated, TURNS, "rotated", per_step=TURNS)}
        if self.method == "simcse":
            return {"loss": compare_passes}
        parts = {"project": Projector(self.width)}
        if self.method == "simsiam":
            parts["predict"] = Projector(self.width)
        crops = Augment(crop_and_colour, self.views, "crop-and-colour", per_step=2)
        return {"loss": Compare(self.method), "parts": parts, "augment": crops}


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
        if self.method == "simsiam":
            predict = net.part("predict")
            return {"simsiam": (simsiam(predict(a), b) + simsiam(predict(b), a)) / 2.0}
        return {self.method: simclr(a, b) if self.method == "simclr" else vicreg(a, b)}


def compare_passes(net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
    """SimCSE's loss of two passes of a target batch: dropout is the only change."""
    x = batches["target"].x
    return {"simcse": simcse(net.features(x), net.features(x))}


def simcse(a: Any, b: Any, temperature: float = 0.05) -> Any:
    """Cross-entropy of which of b, (batch, size), is the other pass of each of a, by cosine.

    Gao et al. 2021, https://arxiv.org/abs/2104.08821: the unsupervised form, without the layer before the loss.
    """
    import keras

    ops = keras.ops
    a, b = (each / (ops.norm(each, axis=1, keepdims=True) + 1e-6) for each in (a, b))
    likeness = ops.matmul(a, ops.transpose(b)) / temperature
    return ops.mean(keras.losses.sparse_categorical_crossentropy(ops.arange(ops.shape(a)[0]), likeness, from_logits=True))


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


def simsiam(predicted: Any, other: Any) -> Any:
    """Less the cosine of a prediction (batch, size) from one view and the other view's projection, which stands still.

    Chen & He 2021, https://arxiv.org/abs/2011.10566
    """
    import keras

    fixed = keras.ops.stop_gradient(other)
    lengths = keras.ops.norm(predicted, axis=1) * keras.ops.norm(fixed, axis=1)
    return -keras.ops.mean(keras.ops.sum(predicted * fixed, axis=1) / (lengths + 1e-6))


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


TURNS = 4


def rotated(images: Any, seed: int, copy: int) -> Any:
    """Images turned by as many right angles as the number of the copy."""
    import tensorflow as tf

    return tf.image.rot90(images, copy)


def turn() -> Any:
    """A classifier of turns."""
    import keras

    return keras.layers.Dense(TURNS)


def upright(net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
    """How far each picture is turned, to be told from its features (Gidaris et al. 2018, https://arxiv.org/abs/1803.07728)."""
    import keras

    ops = keras.ops
    answers = [net.part("turn")(net.features(view)) for view in batches["target"].views]
    losses = [
        ops.mean(keras.losses.sparse_categorical_crossentropy(ops.full(ops.shape(each)[:1], number), each, from_logits=True))
        for number, each in enumerate(answers)
    ]
    right = [ops.mean(ops.cast(ops.equal(ops.argmax(each, axis=1), number), "float32")) for number, each in enumerate(answers)]
    return {"rotation": sum(losses) / TURNS, "rotation_accuracy": ops.stop_gradient(sum(right) / TURNS)}


def crop_and_colour(pictures: Any, seed: int) -> Any:
    """A random crop, mirrored or not, and its brightness, contrast and saturation."""
    import tensorflow as tf

    x = styles.crop(pictures, seed)
    draws = tf.random.stateless_uniform((3, tf.shape(pictures)[0], 1, 1, 1), (seed, 8))
    grey = tf.image.rgb_to_grayscale(x)
    x = grey + (x - grey) * (0.2 + 1.6 * draws[0])
    mean = tf.reduce_mean(x, (1, 2), keepdims=True)
    x = mean + (x - mean) * (0.6 + 0.8 * draws[1])
    return tf.clip_by_value(x * (0.6 + 0.8 * draws[2]), 0.0, 255.0)
