"""Phases whose batches several machines share, data-parallel; the curve of losses is that of one machine.

The run stays with the process that the user started: it makes the batches, judges epochs, and writes the run's folder. For each
block of steps it sends every worker its share of the examples; the workers add their gradients up, step by step, and send back
the sums of the losses and the state after the block. So a checkpoint is as without them, and a lost worker costs one block.
What the net answers to val after an epoch is computed by all of them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from tlapp.cluster.worker_group import Restarted, WorkerGroup
from tlapp.contracts import Batch, Fit, Task
from tlapp.engine.data.streams import task_of
from tlapp.engine.network.net import PhaseNet
from tlapp.engine.network.predict import Predict
from tlapp.engine.network.replicas import share
from tlapp.engine.network.sources import Source
from tlapp.engine.runs.checkpoint import assign, values
from tlapp.engine.training.batches import share_of
from tlapp.engine.training.feeds import Feed
from tlapp.engine.training.session import Session, Slot
from tlapp.engine.training.steps import BLOCK_BYTES, Steps, batch_of
from tlapp.errors import UserError


class Begin(NamedTuple):
    """The first message to a worker: the phase.

    Attributes:
        number: of the phase in the plan for the task.
        size: of the stream whose examples are an epoch.
        seed: of the phase.
        head: a layer that a solver made, packed; empty where the head is the job's own.
        weights: of all that is behind the cut.
    """

    task: Task
    number: int
    size: int
    seed: int
    head: bytes
    weights: Sequence[np.ndarray]


class Block(NamedTuple):
    """A message: shares of some batches, and the state to begin from; None where it is that at the end of the last block."""

    blocks: Mapping[str, Batch]
    state: Sequence[np.ndarray] | None


class Look(NamedTuple):
    """A message: arrays (examples, ...) at the cut, a share of some, whose outputs are wanted."""

    x: tuple[np.ndarray, ...]


class Trained(NamedTuple):
    """The answer of the first worker: sums of the loss's terms over the block, by name, and the state after it."""

    sums: dict[str, float]
    state: Sequence[np.ndarray]


def steps_of(session: Session, slot: Slot, net: PhaseNet, feeds: Mapping[str, Feed]) -> Steps:
    """The steps of a phase, divided where there is a cluster of several machines and stages train."""
    phase: Any = slot.phase
    options, cluster, seed = session.job.options, session.job.cluster, session.job.options.seed * 1009 + slot.number
    # A head alone, on features that are kept, takes less time than sending them.
    if cluster is None or session.job.worker is None or not net.trained_in_backbone() or cluster.machines < 2:
        return Steps(net, phase, feeds, options, seed)
    if reason := indivisible(phase, net, batch_of(feeds, options), cluster.machines):
        session.reporter.note(f"phase {phase.name}: trained on this machine alone: {reason}")
        return Steps(net, phase, feeds, options, seed)
    return DividedSteps(session, slot, net, feeds, seed, partial(cluster.group, session.job.worker))


def indivisible(phase: Fit, net: PhaseNet, batch: int, count: int) -> str:
    """Why the mean over the shares of a batch would not be that over the batch, in words; "" where it is."""
    if phase.loss is not None:
        return "the strategy's own loss may compare the examples of a batch"
    if phase.sampler is not None:
        return "the strategy makes its own batches"
    if net.reads_batch():
        return "batch norm takes its statistics from the whole batch"
    return f"a batch of {batch} cannot be shared by {count} machines" if batch < count else ""


class DividedSteps(Steps):
    """Steps that the machines of a cluster carry out together; this process has their state after each block.

    Args:
        begin: makes the workers begin.
    """

    def __init__(
        self, session: Session, slot: Slot, net: PhaseNet, feeds: Mapping[str, Feed], seed: int, begin: Callable[[], WorkerGroup]
    ):
        phase: Any = slot.phase
        super().__init__(net, phase, feeds, session.job.options, seed)
        self._session, self._slot, self._begin = session, slot, begin
        self._group: WorkerGroup | None = None
        self._has_begun = False
        self._theirs: Sequence[np.ndarray] = ()

    def train(self, blocks: Mapping[str, Batch]) -> np.ndarray:
        """As without workers; a block is done again where one is lost."""
        if self._group is None:
            self._group = self._begin()
            self._session.reporter.note(f"phase {self.phase.name}: trained by {self._group.count} workers")
        while True:
            try:
                return self._trained(self._group, blocks)
            except Restarted:
                if self._has_begun:
                    self._session.reporter.note(f"phase {self.phase.name}: a worker was lost; its block of steps is done again")
                self._has_begun = False
            except UserError as error:
                self._session.save_state()
                error.resumable = self._session.record.folder
                raise

    def predictor(self, last: Any) -> Predict:
        """As without workers; each computes its share of the examples."""
        here = super().predictor(last)

        def everywhere(source: Source, count: int) -> np.ndarray:
            if self._group is None or not self._has_begun or count < self._group.count:
                return here(source, count)
            try:
                return np.asarray(last(self._outputs(self._group, source, count)))
            except Restarted:
                self._session.reporter.note(f"phase {self.phase.name}: a worker was lost; this machine judges the epoch alone")
                self._has_begun = False
                return here(source, count)

        return everywhere

    def close(self) -> None:
        if self._group is not None:
            self._group.close()
            self._group = None

    def _trained(self, group: WorkerGroup, blocks: Mapping[str, Batch]) -> np.ndarray:
        if not self._has_begun:
            _must_agree(group.ask([self._beginning()] * group.count))
            self._has_begun, self._theirs = True, ()
        ours = values(self.state())
        same = len(ours) == len(self._theirs) and all(map(np.array_equal, ours, self._theirs))
        shares = [share(index, group.count, self.batch) for index in range(group.count)]
        messages = [
            Block({name: share_of(block, each) for name, block in blocks.items()}, None if same else ours) for each in shares
        ]
        trained: Trained = group.ask(messages)[0]
        self._theirs = trained.state
        assign(self.state(), trained.state)
        self.names = list(trained.sums)
        return np.array(list(trained.sums.values()), np.float32)

    def _outputs(self, group: WorkerGroup, source: Source, count: int) -> np.ndarray:
        """What the head makes of examples, (count, classes); those of a block at a time."""
        found: list[np.ndarray] = []
        size = max(2 * group.count, min(64, BLOCK_BYTES // self._width) * self.batch)
        for rows in np.array_split(np.arange(count), -(-count // size)):
            arrays, shares = source.take(rows, 0), [share(index, group.count, len(rows)) for index in range(group.count)]
            found += group.ask([Look(tuple(array[each.begin : each.end] for array in arrays)) for each in shares])
        return np.concatenate(found)

    def _beginning(self) -> Begin:
        session, data = self._session, self._session.streams.dataset
        task = task_of(data, {name: len(stream) for name, stream in data.streams.items()}, session.job.head.labels)
        size = next(iter(self.feeds.values())).size
        return Begin(task, self._slot.number, size, self.seed, session.solved, values(self.net.everything()))


def versions() -> dict[str, str]:
    """Of the packages that compute a step, by name."""
    return {name: version(name) for name in ("tlapp", "tensorflow", "keras")}


def _must_agree(answers: Sequence[Mapping[str, str]]) -> None:
    """Check that each worker could begin, with the same packages.

    Raises:
        UserError: one could not.
    """
    ours = versions()
    for number, answer in enumerate(answers, 1):
        where = f"worker {number} of {len(answers)}"
        for name, own in ours.items():
            if answer[name] != own:
                sentence = f"{where} has {name} {answer[name]}, this machine {own}; install the same on all machines"
                raise UserError(sentence, option="on")
        if answer["fault"]:
            raise UserError(f"{where}: {answer['fault']}", option="on")
