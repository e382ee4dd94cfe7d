"""The kinds of phases, in one table: how each is checked, described, carried out. Nothing else asks what kind a phase is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Blend, Fit, Phase, Solve, Statistics, Weighted
from tlapp.engine.network.net import Living
from tlapp.engine.training.fit_kind import FitKind
from tlapp.engine.training.kind import Kind
from tlapp.engine.training.selection import NO_MEASURE, Selection
from tlapp.engine.training.session import Session, Slot
from tlapp.engine.training.solve import solve
from tlapp.engine.training.statistics import renew


class _Statistics(Kind):
    name = "statistics"

    def faults(self, phase: Statistics) -> Iterator[str]:
        yield from ()

    def does(self, phase: Statistics, stages: str) -> Iterator[str]:
        of = f" of {stages}" if stages else ""
        yield f"nothing trains; batch-norm statistics{of} are recomputed from {' and '.join(phase.streams)}"

    def living(self, phase: Statistics) -> Living:
        return Living(phase.rates, "statistics")

    def carry_out(self, session: Session, slot: Slot) -> None:
        phase, streams = slot.phase, session.streams
        net = session.net(slot, {})
        best = session.best = session.best or Selection(net.state(), slot.phase.select)
        judge = session.judge(net, slot, True)
        before = judge(0)
        best.begin(before)
        if before.target and slot.group is None:
            session.overall.begin(slot.number, phase.name, before)
        renew(net, [(streams.source(phase, slot.cut, name), len(streams.dataset.streams[name])) for name in phase.streams])
        if not before.target and slot.group is None:
            return
        after = judge(1)
        if before.target:
            session.tell(before)
        session.tell(after._replace(best=best.offer_epoch(after)))
        loss = best.measure(after)
        if slot.group is not None or loss is None:
            best.restore()
            loss = best.loss
        session.end(phase, loss, True)


class _Solve(Kind):
    name = "solve"
    in_place = False
    refits = True

    def faults(self, phase: Solve) -> Iterator[str]:
        if any(phase.rates.values()):
            yield "it solves in closed form, so every rate must be 0"

    def does(self, phase: Solve, stages: str) -> Iterator[str]:
        yield "the head is fitted in closed form"

    def living(self, phase: Solve) -> Living:
        return Living(phase.rates, grafts=0.0)

    def one_label(self, phase: Solve) -> str:
        return "fits a head in closed form"

    def reads(self, phase: Solve) -> frozenset[str]:
        return frozenset({"class_weights"} if isinstance(phase.solver, Weighted) else ())

    def carry_out(self, session: Session, slot: Slot) -> None:
        if sentence := self._solve(session, slot, ("train",)):
            session.reporter.note(f"phase {slot.phase.name}: {sentence}")

    def refit(self, session: Session, slot: Slot) -> bool:
        self._solve(session, slot, ("train", "val"))
        return True

    def _solve(self, session: Session, slot: Slot, names: Sequence[str]) -> str:
        dataset, given = session.streams.dataset, []
        for name in names:
            labels = dataset.streams[name].labels if name in dataset.streams else None
            if labels is not None:
                given.append((session.streams.source(slot.phase, slot.cut, name), labels))
        weigh = session.job.options.class_weights == "auto"
        layer, sentence, memory = solve(slot.phase, given, len(dataset.classes), weigh)  # type: ignore[arg-type]
        session.replace_head(layer, memory)
        return sentence


class _Blend(Kind):
    name = "blend"

    def faults(self, phase: Blend) -> Iterator[str]:
        if phase.steps < 1:
            yield f"steps must be at least 1. Received: {phase.steps}"

    def does(self, phase: Blend, stages: str) -> Iterator[str]:
        yield "nothing trains"
        if phase.select == "last":
            yield f"the weights go back to those that phase {phase.since} began with"
            return
        yield f"of {phase.steps} blends of {stages or 'the head'} with what phase {phase.since} began with, the best is taken"

    def living(self, phase: Blend) -> Living:
        return Living(phase.rates, "affine")

    def since(self, phase: Blend) -> str:
        return phase.since

    def carry_out(self, session: Session, slot: Slot) -> None:
        phase: Any = slot.phase
        start = session.starts[slot.number]
        if phase.select == "last":
            start.line()(0.0)
            session.end(phase, NO_MEASURE, True)
            return
        best = session.best = session.best or Selection(start.variables, phase.select)
        judge = session.judge(session.net(slot, {}), slot, True)
        first = judge(0)
        best.begin(first)
        if best.measure(first) is None:
            session.reporter.note(f"phase {phase.name}: there is no val to choose by; the weights stay as they are")
            return
        blend = start.line()
        try:
            for number, share in enumerate(np.linspace(1, 0, phase.steps + 1)[1:], start=1):
                blend(share)
                judged = judge(number)
                session.tell(judged._replace(terms={"share": float(share)}, best=best.offer_epoch(judged)))
        finally:
            best.restore()
        session.end(phase, best.loss, True)


KINDS: dict[type[Phase], Kind] = {Fit: FitKind(), Statistics: _Statistics(), Solve: _Solve(), Blend: _Blend()}


def kind_of(phase: Phase) -> Kind:
    """The kind of a phase.

    Raises:
        StopIteration: it is of none; `is_phase` tells.
    """
    return KINDS[next(base for base in type(phase).__mro__ if base in KINDS)]


def is_phase(entry: object) -> bool:
    """Whether an object is a phase of a known kind."""
    return any(base in KINDS for base in type(entry).__mro__)
