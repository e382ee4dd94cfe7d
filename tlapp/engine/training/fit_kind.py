"""Phases that train by gradient: how they are checked, described and carried out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from tlapp.contracts import Fit, Phase
from tlapp.engine.network.net import Living, PhaseNet
from tlapp.engine.runs.folder import BEST
from tlapp.engine.runs.history import Epoch
from tlapp.engine.training.divided import steps_of
from tlapp.engine.training.feeds import Feed
from tlapp.engine.training.fit import Diverged, Fitting
from tlapp.engine.training.kind import TRAINING, Kind, augments_of
from tlapp.engine.training.pseudo_labels import pseudo_labels
from tlapp.engine.training.selection import Selection, spoilt, unimproved
from tlapp.engine.training.session import AUX, Session, Slot, as_layer

MOST_RATE = 10.0
"""A learning rate above it is a mistake: AdamW moves every weight by as much in a step."""
PATIENCE = 10
"""Epochs without a better one before a phase stops that keeps its best. A head alone overfits, if it is not stopped."""
BATCH_NORM = ("frozen", "affine", "update")


class FitKind(Kind):
    """Of `contracts.Fit`."""

    name = "fit"
    trains = True

    def faults(self, phase: Fit) -> Iterator[str]:
        if phase.epochs < 1:
            yield f"epochs must be at least 1. Received: {phase.epochs}"
        if not 0 < phase.learning_rate <= MOST_RATE:
            yield f"learning_rate must be above 0 and at most {MOST_RATE:g}. Received: {phase.learning_rate}"
        if phase.batch_norm not in BATCH_NORM:
            yield f"batch_norm must be one of {', '.join(BATCH_NORM)}. Received: {phase.batch_norm}"
        if not 0 <= phase.average < 1:
            yield f"average must be from 0 to below 1. Received: {phase.average}"
        for name in ("head_rate", "graft_rate"):
            if not getattr(phase, name) >= 0:
                yield f"{name} must be at least 0. Received: {getattr(phase, name)}"

    def does(self, phase: Fit, stages: str) -> Iterator[str]:
        head = "the head" if self.learns_labels(phase) and phase.head_rate else ""
        parts = f"the part{'s' * (len(phase.parts) != 1)} {', '.join(phase.parts)}" if phase.parts else "what was grafted"
        trained = " and ".join(filter(None, (stages, head))) or parts
        several = "," in stages or bool(stages and head)
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
        if phase.guides:
            yield f"guided by {', '.join(phase.guides)}"
        if phase.average:
            yield f"a moving average of the weights, {phase.average:g}"

    def living(self, phase: Fit) -> Living:
        return Living(phase.rates, phase.batch_norm, phase.only, phase.head_rate, phase.graft_rate)

    def learns_labels(self, phase: Fit) -> bool:
        untouched = phase.head_rate == 0 and phase.select in ("last", "features")  # such as where the head is still to be made
        return phase.loss is None or ("train" in phase.streams and not untouched)

    def needs_target(self, phase: Fit) -> bool:
        return phase.labeller is not None

    def one_label(self, phase: Fit) -> str:
        if phase.labeller is not None:
            return "labels the target with one class per example"
        return "draws examples by class" if phase.sampler is not None else ""

    def reads(self, phase: Fit) -> frozenset[str]:
        own = {"weight_decay"} if phase.weight_decay is not None else set()
        if augments_of(phase):
            own.add("augment")
        if not set(phase.streams) - {"target"}:
            own |= {"label_smoothing", "class_weights"}
        return TRAINING - own

    def shortened(self, phase: Fit, epochs: int) -> Phase:
        return replace(phase, epochs=epochs)

    def prepared(self, session: Session, slot: Slot) -> tuple[PhaseNet, dict[str, Feed]]:
        """What trains in a phase, and on what."""
        phase: Any = slot.phase
        parts = {name: as_layer(make(), name) for name, make in phase.parts.items() if name != AUX}
        net = session.net(slot, parts | session.kept_parts(phase))
        session.reset_random(net)
        labels = pseudo_labels(phase.labeller, session, slot, net)
        return net, {name: session.streams.feed(phase, slot.cut, name, labels) for name in phase.streams}

    def carry_out(self, session: Session, slot: Slot) -> None:
        phase: Any = slot.phase
        net, feeds = self.prepared(session, slot)
        best = session.best = session.best or Selection(net.state(), slot.phase.select)
        learns = self.learns_labels(phase)
        steps = steps_of(session, slot, net, feeds)
        judge, patience = session.judge(net, slot, learns, steps.predictor), session.job.options.patience
        if patience is None and keeps_its_end(session, slot, net):
            fitting = Fitting(steps, None, judge, best, partial(is_to_keep, session))
        else:
            fitting = Fitting(steps, patience or PATIENCE, judge, best)
        session.checkpoint.join("best", best)
        if not session.checkpoint.join("fit", fitting):
            fitting.begin()
        try:
            with closing(steps):
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
        elif slot.group is None and best.epoch == 0 and (words := unimproved(phase, fitting.first, session.history.epochs)):
            session.reporter.note(f"phase {phase.name}: {words}")


def keeps_its_end(session: Session, slot: Slot, net: PhaseNet) -> bool:
    """Whether the weights that a phase ends with are better than its best by val (docs/results.md): where stages or grafts
    train, of classes of which an example has one. Of other labels it was not measured."""
    classifies = session.streams.dataset.labelling.kind == "one"
    return slot.phase.select == "val" and slot.group is None and classifies and bool(net.trained_in_backbone())


def is_to_keep(session: Session, first: Epoch, last: Epoch) -> bool:
    """Whether val, if there is one, lets a phase keep the weights that it has come to its end with."""
    return bool(last.validation) and not spoilt(first, last, len(session.streams.dataset.streams["val"]))
