"""Distillation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tlapp_plugins.partial import Partial
from tlapp_plugins.shared.teachers import teacher

from tlapp.contracts import Backbone, Batch, Field, Net, Plan, Task, UserError


class Distill(Partial):
    """Train the last stages to answer as a trained model does, on the target's unlabelled pictures too."""

    contract = "1.2"
    teacher: str = Field("", path=True, description="folder of the run whose model teaches")
    temperature: float = Field(2.0, gt=0, description="softens the answers of teacher and student")
    teacher_weight: float = Field(0.7, ge=0, le=1, description="weight of the teacher's answers; the rest is the labels'")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        if not self.teacher:
            raise UserError("needs the folder of a trained run: the model that teaches", option="teacher")
        if task.labels != "one":
            raise UserError("has another kind of labels; distillation needs a head with one label an example", option="head")
        guides = {"teacher": teacher(self.teacher, task.classes)}
        streams = tuple(sorted({"train", "target"} & task.streams.keys(), key=lambda name: -task.streams[name]))
        tune = self.tune("tune", self.rates(backbone), guides=guides, streams=streams)
        loss = Taught(self.temperature, self.teacher_weight, tune.loss)
        return Plan((*self.warm_up(backbone), replace(tune, loss=loss), *self.blended("tune", tune.rates)))


@dataclass(frozen=True)
class Taught:
    """(1 - w) * the labels' loss + w * T^2 * KL(teacher || student), both softened by T, over all streams.

    Hinton et al. 2015, https://arxiv.org/abs/1503.02531; teacher and student see the same picture, as Beyer et al. 2022 advise,
    https://arxiv.org/abs/2106.05237.
    """

    temperature: float
    weight: float
    own: Any = None

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        terms = dict((self.own or plain)(net, batches))
        gaps = [self.gap(net, batch) for batch in batches.values()]
        return {**terms, "loss": (1 - self.weight) * terms["loss"], "teacher": self.weight * sum(gaps) / len(gaps)}

    def gap(self, net: Net, batch: Batch) -> Any:
        """T^2 * KL of softened answers, averaged over a batch."""
        import keras

        ops, t = keras.ops, self.temperature
        wanted = ops.softmax(ops.log(batch.guides["teacher"] + 1e-8) / t)
        known = ops.log_softmax(net.head(net.features(batch.x)) / t)
        return t**2 * ops.mean(ops.sum(wanted * (ops.log(wanted + 1e-8) - known), axis=-1))


def plain(net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
    """The head's own loss."""
    return {"loss": net.task_loss(batches["train"])}
