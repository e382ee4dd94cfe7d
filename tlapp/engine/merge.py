"""What a run changed, in one small file, and the run's model again from it and the pre-trained backbone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tlapp.contracts import Task
from tlapp.engine.check import make_plan
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.inputs import reader
from tlapp.engine.job import Job
from tlapp.engine.network.adapt import begun
from tlapp.engine.network.changes import Untouched, put_back
from tlapp.engine.network.deploy import answering, deployed
from tlapp.engine.network.graft import grafted
from tlapp.engine.report import Outline
from tlapp.engine.runs.delta import MOST, NEEDS, Delta, Facts, can_be_written
from tlapp.engine.runs.folder import DELTA, TESTED
from tlapp.engine.training.session import Session
from tlapp.errors import UserError


def keep(work: Session, own: Untouched, task: Task, outline: Outline, metrics: Mapping[str, Any]) -> None:
    """Write what a finished run keeps besides its model: its delta, what the solver of its head remembers, and for what is taught
    later the features of its test.

    Args:
        own: the backbone's weights before training.
    """
    if delta := delta_of(work, own, task, outline, metrics):
        work.record.delta(delta)
    if work.memory and not work.slots[-1].in_place:
        work.record.arrays(work.memory)
        if (stream := work.streams.dataset.streams.get("test")) and stream.labels is not None:
            source = work.streams.source(work.slots[-1].phase, work.slots[-1].cut, "test")
            features = source.take(np.arange(len(stream)), 0)[0]
            work.record.arrays({"features": features, "labels": stream.labels}, TESTED)


def delta_of(work: Session, own: Untouched, task: Task, outline: Outline, metrics: Mapping[str, Any]) -> Delta | None:
    """What a run changed and added; None where that is much of the model, or the head is none that its settings build."""
    if not all(slot.in_place for slot in work.slots):
        return None
    if not can_be_written():
        if work.graph is not work.backbone.graph:
            work.reporter.note(f"{DELTA}, what was trained in one small file, is not written: it needs {NEEDS}")
        return None
    model, dataset = work.model(), work.streams.dataset
    weights = own.changes(model)
    if sum(array.size for array in weights.values()) > MOST * sum(math.prod(v.shape) for v in model.weights):
        return None
    facts = Facts(
        own.digest, task, work.job.settings, outline.to_json(), tuple(dataset.classes), metrics, dataset.labelling.scale,
        work.temperature, work.shift,
    )  # fmt: skip
    return Delta(facts, weights)


def merged(delta: Delta, job: Job, whole: bool = True) -> Any:
    """The deployed model of the run that a delta is of: merged into the backbone's layers where its strategy can.

    Args:
        whole: False leaves what was trained beside the backbone's layers, which are as they were to the bit.

    Raises:
        UserError: the backbone has other weights than the run began with, or the plugins build another network now.
    """
    facts, options = delta.facts, job.options
    backbone = begun(job.provider, job.backbone, options)
    if (now := Untouched(backbone.graph).digest) != facts.backbone:
        raise UserError(
            f"its backbone {options.backbone} has other weights here ({now}) than those that it was trained on ({facts.backbone})"
        )
    plan = make_plan(job.strategy, facts.task, backbone.facts)
    graph = grafted(plan, backbone)
    names = [tensor.name for tensor in reader(backbone.facts.input, options).tensors]
    last = answering(job.head.activation, LABELLINGS[facts.task.labels].output, facts.scale, facts.temperature, facts.shift)
    model = deployed(graph, job.head.build(graph.outputs[0], facts.task), last, names)
    put_back(model, delta.weights)
    return plan.finish(model) if plan.finish and whole else model
