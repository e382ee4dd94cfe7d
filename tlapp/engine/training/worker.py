"""One of the workers that train a phase together: see `divided.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tlapp.engine.job import Job
from tlapp.engine.network.adapt import begun
from tlapp.engine.network.graft import grafted
from tlapp.engine.network.net import PhaseNet
from tlapp.engine.network.replicas import Replicas
from tlapp.engine.runs.checkpoint import Misfit, assign, must_fit, unpack_layer, values
from tlapp.engine.training.divided import Begin, Look, Trained, versions
from tlapp.engine.training.feeds import Feed
from tlapp.engine.training.order import in_order
from tlapp.engine.training.phases import slot_of
from tlapp.engine.training.steps import Steps
from tlapp.errors import TlappError, UserError
from tlapp.tensorflow_import import quiet_tensorflow


def work(make: Callable[[], Job], receive: Callable[[], Any], answer: Callable[[Any], None]) -> None:
    """What a worker does in a phase: it trains on its shares of the blocks, until there are no more.

    Args:
        make: makes the job.
        receive, answer: as of `tlapp.cluster.worker_group.Work`.
    """
    quiet_tensorflow()
    replicas, steps = Replicas(), None
    while (message := receive()) is not None:
        if isinstance(message, Begin):
            fault = ""
            try:
                steps = _steps(make(), message, replicas)
                outputs = steps.predictor(lambda found: found)
            except TlappError as error:
                fault = str(error)
            answer({"fault": fault, **versions()})
        elif isinstance(message, Look) and steps is not None:
            with steps.averaged():
                answer(outputs(Given(message.x), len(message.x[0])))
        elif steps is not None:
            if message.state is not None:
                assign(steps.state(), message.state)
            sums = steps.train(message.blocks)
            named = dict(zip(steps.names, map(float, sums), strict=True))
            answer(None if replicas.index else Trained(named, values(steps.state())))


def _steps(job: Job, begin: Begin, replicas: Replicas) -> Steps:
    """A worker's part of a phase.

    Raises:
        UserError, PluginError: the job's backbone or plugin cannot be loaded here, or is another one.
    """
    options = job.options
    backbone = begun(job.provider, job.backbone, options)
    plan = job.strategy.plan(begin.task, backbone.facts)
    graph = grafted(plan, backbone)
    layer = unpack_layer(begin.head) if begin.head else job.head.build(graph.outputs[0], begin.task)
    layer(graph.outputs[0])
    slot = slot_of(begin.number, in_order(plan)[begin.number], graph, backbone)
    net = PhaseNet(slot.cut, slot.living, backbone.stage_of, job.head, layer, {})
    try:
        must_fit(net.everything(), begin.weights)
    except Misfit as error:
        raise UserError(f"the network of {job.options.backbone} is another one here; install the same on all machines") from error
    assign(net.everything(), begin.weights)
    phase: Any = slot.phase
    feed = Feed(_Elsewhere(), begin.size, None, np.ones(begin.size, np.float32))
    return Steps(net, phase, dict.fromkeys(phase.streams, feed), options, begin.seed, replicas)


class Given:
    """Examples at the cut that are in memory."""

    def __init__(self, arrays: tuple[np.ndarray, ...]):
        self._arrays = arrays

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        return tuple(array[rows] for array in self._arrays)


class _Elsewhere:
    """Of a stream whose examples come with the messages."""

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        raise NotImplementedError
