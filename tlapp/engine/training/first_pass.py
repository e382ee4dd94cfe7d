"""Whether a run reads its examples again and again, and what it computes while they are decoded for the first time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from tlapp.cluster.connection import Cluster
from tlapp.contracts import LoadedBackbone, Plan
from tlapp.engine.cache import store
from tlapp.engine.data.streams import Dataset
from tlapp.engine.inputs.lazy_rows import LazyRows
from tlapp.engine.inputs.rows import Keeper, Use, keep
from tlapp.engine.inputs.sinks import Elsewhere, Sink
from tlapp.engine.network.activations import Remembered
from tlapp.engine.network.cut import Cut, holds
from tlapp.engine.network.front_pass import FrontPass
from tlapp.engine.network.lengths import is_variable
from tlapp.engine.options import RunOptions
from tlapp.engine.training.order import in_order
from tlapp.engine.training.phases import ready, slot_of
from tlapp.engine.training.session import Session, Slot
from tlapp.engine.training.style import candidates
from tlapp.words import bytes_in_words


class FirstPass:
    """What sees a run's examples while they are decoded, in the thread that decodes them, once the network is there."""

    def __init__(self, options: RunOptions, report: Callable[[str, int, int], None], cluster: Cluster | None = None):
        self._options, self._report, self._cluster = options, report, cluster
        self._network: Future[tuple[LoadedBackbone, Plan, Any, Sequence[Cut]]] = Future()
        self._pass: FrontPass | None = None

    @property
    def seconds(self) -> float:
        """Spent on computing what was seen."""
        return 0.0 if self._pass is None else self._pass.seconds

    @property
    def use(self) -> Use:
        """What the rows are wanted for."""
        return Use(False, self, self.elsewhere if self._cluster else None)

    def begin(self, backbone: LoadedBackbone, plan: Plan, graph: Any, untouched: Sequence[Cut]) -> None:
        """The network is there, as the plan's graft left it; `untouched`: what is wanted of the backbone as it was."""
        self._network.set_result((backbone, plan, graph, untouched))

    def cancel(self) -> None:
        """No network is to come."""
        self._network.cancel()

    def __call__(self, table: LazyRows) -> Sink | None:
        """What computes the front of the rows, or keeps them where the plan reads them again; it waits for the network."""
        keeps, going = self._asked(table)
        if keeps:
            return Keeper(table, self._report)
        self._pass = going()
        return self._pass

    def elsewhere(self, table: LazyRows) -> Elsewhere | None:
        """What has a cluster decode the rows and compute their front; None where this process does. It waits for the network."""
        keeps, going = self._asked(table)
        if self._cluster is None or keeps or not table.in_files:
            return None
        self._pass = going()
        if self._pass is not None and not self._pass.is_spread:
            self._pass.close()
            self._pass = None
        return self._pass

    def _asked(self, table: LazyRows) -> tuple[bool, Callable[[], FrontPass | None]]:
        """Whether rows are kept, as the plan reads them again; and what begins to compute their front, None for nothing."""
        options, (backbone, plan, graph, untouched) = self._options, self._network.result()
        remembered = Remembered(graph, (table,), options, self._report, self._cluster)
        places = in_order(plan)
        slots = [slot_of(number, place, graph, backbone) for number, place in enumerate(places)]
        changed = any(candidates(place.phase, options) for place in places)
        if (changed or any(_reads_again(slot, remembered) for slot in slots)) and store.has_room(table.bytes):
            return True, lambda: None
        if changed:
            return False, lambda: None
        cuts = [*(cut for cut, _ in ready(slots)), *(untouched if holds(graph, untouched) else ())]
        return False, lambda: remembered.passing(cuts, table.is_new)

    def settle(self, work: Session) -> None:
        """Keep examples that phases read again and again after all; where there is no room for them, say what that costs."""
        remembered = work.streams.remembered
        work.seconds["front"] += self.seconds
        if self._cluster and is_variable(work.graph.inputs):
            work.reporter.note(f"option on: {work.streams.dataset.input.noun}s of different lengths are computed on this machine")
        table, again = remembered.tables[0], [slot for slot in work.slots if _reads_again(slot, remembered)]
        if isinstance(table, LazyRows) and table.kept is None and again and not keep(table, self._report):
            work.reporter.note(_cost(table, again, work.streams.dataset))


def _reads_again(slot: Slot, remembered: Remembered) -> bool:
    """Whether a phase reads examples, and not only their activations, more than once."""
    phase, inputs = slot.phase, {id(tensor) for tensor in slot.cut.inputs}
    crosses = any(id(tensor) in inputs for tensor in slot.cut.boundary)
    return phase.augment is not None or bool(getattr(phase, "guides", ())) or crosses or not remembered.fits(slot.cut)


def _cost(table: LazyRows, again: Sequence[Slot], dataset: Dataset) -> str:
    streams = {name for slot in again for name in (*slot.phase.streams, "val")} & {*dataset.streams}
    seconds = table.extra["seconds"] * sum(len(dataset.streams[name]) for name in streams)
    limit, names, size = store.limit(), ", ".join(slot.phase.name for slot in again), bytes_in_words(table.bytes)
    room = f"TLAPP_CACHE_LIMIT is {bytes_in_words(limit)}" if table.bytes > limit else f"the disk of {store.folder()} is too full"
    return (
        f"phase {names}: the decoded {dataset.input.noun}s take {size}, and {room}: they are decoded again "
        f"each epoch, about {seconds:.2g} seconds each time; give the cache more room to decode them once"
    )
