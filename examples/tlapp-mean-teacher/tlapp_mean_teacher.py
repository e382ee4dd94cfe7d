"""Mean teacher: a strategy for tlapp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tlapp.contracts import Augment, Backbone, Batch, Field, Fit, Net, Plan, Strategy, Task

RAMP = 0.3
"""The share of training after which the teacher counts in full."""


def jittered(images: Any, seed: int) -> Any:
    """Some of the images mirrored, and noise on all of them."""
    import tensorflow as tf

    mirrored = tf.image.stateless_random_flip_left_right(images, seed=(seed, 0))
    return tf.clip_by_value(mirrored + tf.random.stateless_normal(tf.shape(images), seed=(seed, 1), stddev=8.0), 0.0, 255.0)


class MeanTeacher(Strategy):
    """Train the last stages to answer as their own moving average does, on the target's unlabelled pictures too.

    Tarvainen & Valpola 2017, https://arxiv.org/abs/1703.01780: student and teacher see different versions of a picture; the
    weight of their disagreement grows as exp(-5 (1 - t)^2).
    """

    contract = "1.2"

    last: int = Field(2, ge=1, description="stages to train, counted from the output")
    epochs: int = Field(20, ge=1, description="maximum epochs after the warm-up")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="learning rate")
    decay: float = Field(0.95, gt=0, lt=1, description="decay of the moving average")
    weight: float = Field(3.0, ge=0, description="weight of the disagreement with the teacher")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        streams = sorted({"train", "target"} & task.streams.keys(), key=lambda name: -task.streams[name])
        versions = Augment(jittered, views=4, name="jittered", per_step=2)
        rates = backbone.last(self.last)
        warm = Fit(name="warm-up", rates=backbone.frozen(), epochs=20, learning_rate=1e-3)
        teach = Fit(
            name="teach", rates=rates, streams=tuple(streams), epochs=self.epochs, learning_rate=self.learning_rate,
            loss=self.loss, augment=versions, average=self.decay,
        )  # fmt: skip
        return Plan((warm, teach))

    def loss(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        """The head's loss, and the mean squared difference of the two answers over all streams."""
        import keras

        ops, gaps = keras.ops, []
        for student, teacher in (batch.views for batch in batches.values()):
            wanted = ops.softmax(net.average(teacher))
            gaps.append(ops.mean(ops.sum((ops.softmax(net.head(net.features(student))) - wanted) ** 2, axis=-1)))
        ramp = ops.exp(-5.0 * (1.0 - ops.minimum(net.progress / RAMP, 1.0)) ** 2)
        return {"task": net.task_loss(batches["train"]), "teacher": self.weight * ramp * sum(gaps) / len(gaps)}
