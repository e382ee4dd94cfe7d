"""The kinds of phases, in one table: how each is checked, told, carried out. Nothing else asks what kind a phase is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from tlapp.contracts import Augment, Fit, Phase, Solve, Statistics
from tlapp.engine.network.net import Living
from tlapp.engine.runs.folder import BEST
from tlapp.engine.training.fit import Diverged, Fitting
from tlapp.engine.training.pseudo_labels import pseudo_labels
from tlapp.engine.training.selection import Selection, loss_of
from tlapp.engine.training.session import AUX, Session, Slot, as_layer
from tlapp.engine.training.solve import solve
from tlapp.engine.training.statistics import renew

BATCH_NORM = ("frozen", "affine", "update")


TRAINING = frozenset(
    {"batch_size", "augment", "patience", "schedule", "label_smoothing", "clip_norm", "weight_decay", "class_weights"}
)
"""The options of a run that nothing but training by gradient reads."""


class Kind(ABC):
    """What the engine knows of a kind of phase."""

    name: ClassVar[str]
    """As plan.json says it."""
    in_place: ClassVar[bool] = True
    """Whether it changes weights, and not the head as a whole."""
    trains: ClassVar[bool] = False
    """Whether it trains by gradient, on examples that the option augment changes."""

    @abstractmethod
    def faults(self, phase: Any) -> Iterator[str]:
        """What is wrong with a phase of this kind, in words."""

    @abstractmethod
    def does(self, phase: Any, stages: str) -> Iterator[str]:
        """What a phase does, in pieces of a sentence; `stages` are its live stages in words, "" where there are none."""

    @abstractmethod
    def living(self, phase: Any) -> Living:
        """What of the network trains."""

    @abstractmethod
    def carry_out(self, session: Session, slot: Slot) -> None:
        """Carry a phase out; the net has the phase's best weights then."""

    def reads(self, phase: Any) -> frozenset[str]:
        """Those of the options `TRAINING` that a phase reads."""
        return frozenset()

    def learns_labels(self, phase: Any) -> bool:
        """Whether the head learns from labels, so that val says something."""
        return True

    def needs_target(self, phase: Any) -> bool:
        """Whether it reads the target beside the streams that it names."""
        return False

    def one_label(self, phase: Any) -> str:
        """What it does that takes one label an example, in words; "" where it does nothing of the kind."""
        return ""

    def shortened(self, phase: Any, epochs: int) -> Phase:
        """The phase with so many epochs, where it has any."""
        return phase


class _Fit(Kind):
    name = "fit"
    trains = True

    def faults(self, phase: Fit) -> Iterator[str]:
        if phase.epochs < 1:
            yield f"epochs must be at least 1. Received: {phase.epochs}"
        if not (math.isfinite(phase.learning_rate) and phase.learning_rate > 0):
            yield f"learning_rate must be above 0. Received: {phase.learning_rate}"
        if phase.batch_norm not in BATCH_NORM:
            yield f"batch_norm must be one of {', '.join(BATCH_NORM)}. Received: {phase.batch_norm}"

    def does(self, phase: Fit, stages: str) -> Iterator[str]:
        head = "the head" if self.learns_labels(phase) else ""
        trained = (
            " and ".join(filter(None, (stages, head))) or f"the part{'s' * (len(phase.parts) != 1)} {', '.join(phase.parts)}"
        )
        several = len([rate for rate in phase.rates.values() if rate > 0]) + bool(head) > 1
        yield f"{trained} train{'' if several else 's'}"
        yield f"at most {phase.epochs} epoch{'s' * (phase.epochs != 1)} at {phase.learning_rate:g}"
        if stages and phase.only is not None:
            yield "only some variables of these stages"
        if phase.loss is not None:
            yield "its own loss"
        if phase.sampler is not None:
            yield "its own batches"
        if phase.parts:
            yield f"parts {', '.join(phase.parts)}"
        if phase.labeller is not None:
            yield "the target labelled by the model"
        if stages and phase.batch_norm != "frozen":
            yield f"batch norm {phase.batch_norm}"

    def living(self, phase: Fit) -> Living:
        return Living(phase.rates, phase.batch_norm, phase.only)

    def learns_labels(self, phase: Fit) -> bool:
        return phase.loss is None or "train" in phase.streams

    def needs_target(self, phase: Fit) -> bool:
        return phase.labeller is not None

    def one_label(self, phase: Fit) -> str:
        if phase.labeller is not None:
            return "labels the target with one class per picture"
        return "draws pictures by class" if phase.sampler is not None else ""

    def reads(self, phase: Fit) -> frozenset[str]:
        own = {"weight_decay"} if phase.weight_decay is not None else set()
        if augments_of(phase):
            own.add("augment")
        if not set(phase.streams) - {"target"}:
            own |= {"label_smoothing", "class_weights"}
        return TRAINING - own

    def shortened(self, phase: Fit, epochs: int) -> Phase:
        return replace(phase, epochs=epochs)

    def carry_out(self, session: Session, slot: Slot) -> None:
        phase: Any = slot.phase
        parts = {name: as_layer(make(), name) for name, make in phase.parts.items() if name != AUX}
        net = session.net(slot, parts | session.kept_parts(phase))
        session.reset_random(net)
        labels = pseudo_labels(phase.labeller, session, slot, net)
        feeds = {name: session.streams.feed(phase, slot.cut, name, labels) for name in phase.streams}
        best = session.best = session.best or Selection(net.state())
        options, learns = session.job.options, self.learns_labels(phase)
        judge = session.judge(net, slot, learns)
        fitting = Fitting(net, phase, feeds, options, options.seed * 1009 + slot.number, judge, best)
        session.checkpoint.join("best", best)
        if not session.checkpoint.join("fit", fitting):
            fitting.begin()
        try:
            reason = fitting.run(session.tell, session.reporter.progress, session.pause)
        except KeyboardInterrupt:
            best.restore()
            session.end(phase, best.loss, learns)
            session.fall_back()
            raise
        except Diverged as stop:
            if slot.group is None:
                path = session.record.model(session.model(), BEST)
                raise type(stop.error)(f"{stop.error}; the best weights so far are in {path}") from stop
            reason = "the loss is no longer a finite number"  # of several alternatives, another may do better
        session.end(phase, best.loss, learns)
        session.checkpoint.leave("fit", "labels")
        if reason:
            session.reporter.note(f"phase {phase.name}: stopped: {reason}; the best weights before that are kept")


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
        best = session.best = session.best or Selection(net.state())
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
        loss = loss_of(after)
        if slot.group is not None or loss is None:
            best.restore()
            loss = best.loss
        session.end(phase, loss, True)


class _Solve(Kind):
    name = "solve"
    in_place = False

    def faults(self, phase: Solve) -> Iterator[str]:
        if any(phase.rates.values()):
            yield "it solves in closed form, so every rate must be 0"

    def does(self, phase: Solve, stages: str) -> Iterator[str]:
        yield "the head is fitted in closed form"

    def living(self, phase: Solve) -> Living:
        return Living(phase.rates)

    def one_label(self, phase: Solve) -> str:
        return "fits a head in closed form"

    def carry_out(self, session: Session, slot: Slot) -> None:
        stream = session.streams.dataset.streams["train"]
        assert stream.labels is not None, "the training examples have labels"
        source = session.streams.source(slot.phase, slot.cut, "train")
        classes = len(session.streams.dataset.classes)
        session.replace_head(solve(slot.phase, source, stream.labels, classes))  # type: ignore[arg-type]


KINDS: dict[type[Phase], Kind] = {Fit: _Fit(), Statistics: _Statistics(), Solve: _Solve()}


def kind_of(phase: Phase) -> Kind:
    """The kind of a phase.

    Raises:
        StopIteration: it is of none; `is_phase` tells.
    """
    return KINDS[next(base for base in type(phase).__mro__ if base in KINDS)]


def is_phase(entry: object) -> bool:
    """Whether an object is a phase of a known kind."""
    return any(base in KINDS for base in type(entry).__mro__)


def augments_of(phase: Phase) -> tuple[Augment, ...]:
    """The augmentations that a phase itself says it may have."""
    return (*phase.augments, *([phase.augment] if phase.augment else []))
