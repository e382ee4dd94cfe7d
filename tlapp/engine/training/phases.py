"""The phases of a plan, one after the other; alternatives begin with the same weights, and the best of them is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from tlapp.contracts import Augment, LoadedBackbone, Phase, Plan
from tlapp.engine.job import Job
from tlapp.engine.network.cut import Cut, cut, whole
from tlapp.engine.network.net import PhaseNet
from tlapp.engine.report import Reporter
from tlapp.engine.runs.checkpoint import Pack, assign, must_fit, values
from tlapp.engine.runs.record import Record
from tlapp.engine.training.feeds import Streams
from tlapp.engine.training.kinds import kind_of
from tlapp.engine.training.order import Place, in_order
from tlapp.engine.training.selection import Selection
from tlapp.engine.training.session import AUX, Session, Slot, as_layer
from tlapp.errors import PluginError


class Phases(Session):
    """Carries phases out on one network.

    Args:
        places: the phases, with the augmentation that each is to have.
        graph: input to features, with what was grafted.
        layer: the head's, built.
        streams: where the examples come from.
        record: the run's folder.
    """

    def __init__(
        self, job: Job, places: Sequence[Place], graph: Any, backbone: LoadedBackbone, layer: Any, streams: Streams,
        record: Record, reporter: Reporter,
    ):  # fmt: skip
        slots = [slot_of(number, place, graph, backbone) for number, place in enumerate(places)]
        aux = aux_head([place.phase for place in places], graph, len(streams.dataset.own_classes.get("aux", ())))
        super().__init__(job, slots, graph, backbone, layer, aux, streams, record, reporter)
        self._beginning: Beginning | None = None

    def carry_out(self) -> None:
        """One after the other, from the one that was under way."""
        import keras

        for slot in self.slots[self.number :]:
            self.number = slot.number
            # Each phase draws its own random numbers, so that a resumed run need not repeat what earlier ones drew.
            keras.utils.set_random_seed(self.job.options.seed + 1 + slot.number)
            self._mark_starts(slot.number)
            self._enter(slot)
            began = time.perf_counter()
            self.streams.remembered.expect(self.ready(slot.number))
            self.seconds["front"] += time.perf_counter() - began
            began = time.perf_counter()
            self.carry_out_slot(slot)
            self.seconds["train"] += time.perf_counter() - began
            self._leave(slot)
        self.fall_back()

    def carry_out_slot(self, slot: Slot) -> None:
        """Carry one phase out."""
        kind_of(slot.phase).carry_out(self, slot)

    def last(self, layer: Any = None) -> tuple[PhaseNet, Cut]:
        """The net of the last phase, with another layer for its head where one is given, and its cut."""
        slot, layer = self.slots[-1], self.layer if layer is None else layer
        return PhaseNet(slot.cut, slot.living, self.backbone.stage_of, self.job.head, layer, {}), slot.cut

    def _enter(self, slot: Slot) -> None:
        """Where alternatives begin, note the weights that they begin with; for each of them, put these back."""
        if slot.group is None:
            return
        if slot.group == slot.number or self._beginning is None:
            variables = self.changed(each.number for each in self.slots if each.group == slot.group)
            self._beginning, self.best = Beginning(variables), Selection(variables, slot.phase.select)
            self.checkpoint.join("beginning", self._beginning)
        self._beginning.restore()

    def _mark_starts(self, number: int) -> None:
        """Note, where a phase begins, the weights that a later one goes back to."""
        for later in self.slots[number:]:
            name = kind_of(later.phase).since(later.phase)
            first = next((slot.number for slot in self.slots if slot.phase.name == name), number + 1)
            if first <= number and later.number not in self.starts:
                start = self.starts[later.number] = Beginning(self.changed(range(first, later.number)))
                self.checkpoint.join(f"start-{later.number}", start)

    def _leave(self, slot: Slot) -> None:
        following = self.slots[slot.number + 1].group if slot.number + 1 < len(self.slots) else None
        if slot.group is None or following != slot.group:
            self.best, self._beginning = None, None
            self.checkpoint.leave("best", "beginning")

    def ready(self, number: int) -> list[tuple[Cut, Augment | None]]:
        """The cuts of this phase and of later ones whose fronts no phase from here to there trains: one pass serves them all."""
        return ready(self.slots[number:])


class Beginning:
    """The weights that alternatives, or a phase, begin with."""

    def __init__(self, variables: Sequence[Any]):
        self.variables, self._values = variables, values(variables)

    def restore(self) -> None:
        """Put them back."""
        assign(self.variables, self._values)

    def line(self) -> Callable[[float], None]:
        """Gives the variables a share of their present values, and the rest of those that they began with."""
        ends = values(self.variables)

        def blend(share: float) -> None:
            pairs = zip(self._values, ends, strict=True)
            assign(self.variables, [(begin + share * (end - begin)).astype(end.dtype) for begin, end in pairs])

        return blend

    def pack(self) -> Pack:
        return Pack({}, self._values)

    def unpack(self, pack: Pack) -> None:
        must_fit(self.variables, pack.arrays)
        self._values = list(pack.arrays)


def ready(slots: Sequence[Slot]) -> list[tuple[Cut, Augment | None]]:
    """The cuts, and the augmentations, of those phases whose fronts no phase before them trains."""
    trained: set[int] = set()
    found = []
    for slot in slots:
        if not any(id(step.operation) in trained for step in slot.cut.front):
            found.append((slot.cut, slot.phase.augment))
        trained |= {id(s.operation) for s in slot.cut.rest if getattr(s.operation, "weights", ())}
    return found


def untouched_cuts(backbone: LoadedBackbone, ahead: Sequence[Plan]) -> list[Cut]:
    """What is read of a backbone as it was: all of it, and what plans that leave the network as it is read of plain examples."""
    cuts = [whole(backbone.graph, backbone.stage_of)]
    for plan in ahead:
        slots = [slot_of(number, place, backbone.graph, backbone) for number, place in enumerate(in_order(plan))]
        cuts += [cut for cut, augment in ready(slots) if augment is None and not cut.at_input]
    return cuts


def aux_head(phases: Sequence[Phase], graph: Any, classes: int) -> Any:
    """The head of the stream aux, built as the first phase that has one says; None where none has.

    Raises:
        PluginError: it is no layer from features to a number a class of aux.
    """
    makers = [parts[AUX] for phase in phases if AUX in (parts := getattr(phase, "parts", {}))]
    if not makers:
        return None
    layer, wanted = as_layer(makers[0](), AUX), (None, classes)
    if (shape := tuple(layer(graph.outputs[0]).shape)) != wanted:
        raise PluginError(f"its part {AUX} must give (batch, classes of aux), here {wanted}. Received: {shape}")
    return layer


def slot_of(number: int, place: Place, graph: Any, backbone: LoadedBackbone) -> Slot:
    """A phase in its place, with its cut."""
    phase, kind = place.phase, kind_of(place.phase)
    living = kind.living(phase)
    return Slot(number, phase, cut(graph, living.rates, backbone.stage_of, living.grafts), living, kind.in_place, place.group)
