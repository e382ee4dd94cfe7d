"""What the phases of a run share: the network, the streams, the run's folder, and all that changes while they train."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from tlapp.contracts import LoadedBackbone, Phase
from tlapp.engine.job import Job
from tlapp.engine.network.cut import Cut
from tlapp.engine.network.deploy import deployed
from tlapp.engine.network.net import Living, PhaseNet
from tlapp.engine.network.predict import Predict
from tlapp.engine.report import Reporter
from tlapp.engine.runs.checkpoint import Checkpoint, Pack, Stored, pack_layer, unpack_layer
from tlapp.engine.runs.history import Epoch, History
from tlapp.engine.runs.record import Record
from tlapp.engine.training.feeds import Judge, Streams
from tlapp.engine.training.selection import NO_MEASURE, Overall, Selection, by_target
from tlapp.errors import PluginError

AUX = "aux"
"""The part that is the head of the stream of that name; it is kept from phase to phase."""
CHECKPOINT_SECONDS = 10.0
"""At most so much work is lost when a run is killed."""


class Start(Protocol):
    """The weights that a phase began with."""

    variables: Sequence[Any]

    def line(self) -> Callable[[float], None]:
        """Gives the variables a share of their present values, and the rest of those that the phase began with."""
        ...

    def pack(self) -> Pack:
        """As an owner of state."""
        ...

    def unpack(self, pack: Pack) -> None:
        """As an owner of state."""
        ...


class Slot(NamedTuple):
    """A phase in its place.

    Attributes:
        number: from 0, alternatives counted one by one.
        cut: where it cuts the network.
        living: what of the network trains in it.
        in_place: whether it changes weights, and not the head as a whole.
        group: number of the first of the alternatives that it is one of; None where it is none.
    """

    number: int
    phase: Phase
    cut: Cut
    living: Living
    in_place: bool
    group: int | None = None


class Session:
    """The shared state of the phases; an owner of the part of it that belongs to no single phase.

    Args:
        slots: the phases in their places.
        graph: input to features, with what was grafted.
        layer: the head's, built.
        aux: the head of the stream aux, built; None where there is none.

    Attributes:
        number: of the phase under way.
        layer: the head as it now stands; a solver replaces it.
        memory: what that solver remembers of its examples; empty where there is none, or it remembers nothing.
        temperature, shift: by what the deployed model divides its head's outputs, and what it adds; nothing that trains reads it.
        loss: what the last phase's best weights lead by.
        best: the best weights of the phase under way, or of the alternatives that it is one of.
        starts: number of a phase that goes back to where an earlier one began -> the weights that this one began with.
        overall: the best weights over all phases by the target's score.
        seconds: spent on fronts and on training.
    """

    def __init__(
        self, job: Job, slots: Sequence[Slot], graph: Any, backbone: LoadedBackbone, layer: Any, aux: Any, streams: Streams,
        record: Record, reporter: Reporter,
    ):  # fmt: skip
        self.job, self.slots, self.graph, self.backbone, self.layer, self.aux = job, slots, graph, backbone, layer, aux
        self.streams, self.record, self.reporter = streams, record, reporter
        self.history, self.seconds = History(), {"front": 0.0, "train": 0.0}
        self.number, self.loss = 0, NO_MEASURE
        self.best: Selection | None = None
        self.starts: dict[int, Start] = {}
        self.overall = Overall(lambda number: self.changed(range(number, len(self.slots))))
        self.checkpoint = Checkpoint(record.state)
        self.memory: Mapping[str, np.ndarray] = {}
        self.temperature = 1.0
        self.shift: Sequence[float] = ()
        self._is_to_stop = False
        self._solved, self._written = b"", time.monotonic()
        self._first_states: dict[int, np.ndarray] = {}

    def begin(self, resume: bool) -> None:
        """Start, or go back to where an earlier process left off."""
        if resume:
            self.checkpoint.read()
        self.checkpoint.join("head", _Head(self))
        self.checkpoint.join("history", self.history)
        self.checkpoint.join("phase", self)
        self.checkpoint.join("overall", self.overall)
        self.checkpoint.join("network", Stored(lambda: self.changed(range(self.number))))
        self._written = time.monotonic()
        self.record.history(self.history.epochs)

    def pack(self) -> Pack:
        return Pack({"number": self.number, "loss": self.loss})

    def unpack(self, pack: Pack) -> None:
        self.number, self.loss = int(pack.facts["number"]), float(pack.facts["loss"])

    @property
    def solved(self) -> bytes:
        """The head that a solver made, packed; empty where it is the job's own."""
        return self._solved

    def model(self) -> Any:
        """The deployed model as it stands."""
        names = [tensor.name for tensor in self.streams.dataset.input.tensors]
        return deployed(self.graph, self.layer, self.streams.last_layer(self.temperature, self.shift), names)

    def net(self, slot: Slot, parts: Mapping[str, Any]) -> PhaseNet:
        """The net of a phase."""
        return PhaseNet(slot.cut, slot.living, self.backbone.stage_of, self.job.head, self.layer, parts)

    def kept_parts(self, phase: Phase) -> dict[str, Any]:
        """The parts of a phase that do not end with it."""
        return {AUX: self.aux} if AUX in getattr(phase, "parts", ()) else {}

    def changed(self, numbers: Iterable[int]) -> list[Any]:
        """The variables that phases may change, those of parts that end with their phase excepted."""
        slots = [self.slots[number] for number in numbers]
        nets = [self.net(slot, self.kept_parts(slot.phase)) for slot in slots if slot.in_place]
        return list({id(v): v for net in nets for v in net.state()}.values())

    def judge(self, net: PhaseNet, slot: Slot, validates: bool, predicts: Callable[[Any], Predict] | None = None) -> Judge:
        """How a net does on what selects in a phase, epoch by epoch; `predicts` as of `Streams.judge`."""
        return self.streams.judge(net, slot.cut, slot.phase, validates, predicts)

    def tell(self, epoch: Epoch) -> bool:
        """Add a line of history, and show it; whether a reporter has asked the run to stop."""
        self.history.epochs.append(epoch)
        self.record.epoch(epoch)
        self._is_to_stop = self.reporter.epoch(epoch) is True or self._is_to_stop
        return self._is_to_stop

    def pause(self) -> None:
        """Note the state between two steps; write it now and then."""
        self.checkpoint.capture()
        if time.monotonic() - self._written >= CHECKPOINT_SECONDS:
            self.save_state()

    def save_state(self) -> None:
        """Write the state that was noted last, if there is one."""
        self.checkpoint.write()
        self._written = time.monotonic()

    def end(self, phase: Phase, loss: float, learns_labels: bool) -> None:
        """Note by what a phase's best weights, which the net now has, lead."""
        self.loss = loss
        if by_target(phase.select):
            self.overall.offer(phase.name, loss)
        elif learns_labels and not any(by_target(slot.phase.select) for slot in self.slots[self.number + 1 :]):
            self.overall.forget()  # a loss on val is not to be compared with the target's score

    def fall_back(self) -> None:
        """Put back the weights that the target's score rated best, where the last phase did not end with them."""
        if origin := self.overall.restore(self.loss):
            self.reporter.note(f"the target's score was best {origin}; that model is kept")

    def replace_head(self, layer: Any, memory: Mapping[str, np.ndarray]) -> None:
        """Take another layer for the head, one that a solver made, and what the solver remembers."""
        self.memory = memory
        self.layer, self._solved = layer, pack_layer(layer, self.graph.outputs[0])

    def reset_random(self, net: PhaseNet) -> None:
        """Put random states back to what they were before any phase drew from them: a resumed run does not repeat the others."""
        for variable in net.random():
            variable.assign(self._first_states.setdefault(id(variable), np.array(variable)))


class _Head:
    """The owner of a head that a solver made."""

    def __init__(self, session: Session):
        self._session = session

    def pack(self) -> Pack:
        solved, memory = self._session._solved, self._session.memory
        return Pack({"memory": [*memory]}, [np.frombuffer(solved, np.uint8), *memory.values()] if solved else [])

    def unpack(self, pack: Pack) -> None:
        if pack.arrays:
            self._session._solved = pack.arrays[0].tobytes()
            self._session.layer = unpack_layer(self._session._solved)
            self._session.memory = dict(zip(pack.facts["memory"], pack.arrays[1:], strict=True))


def as_layer(part: Any, name: str) -> Any:
    """A part that a strategy made, checked.

    Raises:
        PluginError: it is not a Keras layer.
    """
    import keras

    if not isinstance(part, keras.Layer):
        raise PluginError(f"part {name} is not a Keras layer")
    return part
