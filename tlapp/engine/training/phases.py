"""The phases of a run, one after the other, to be stopped and taken up again between any two blocks of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Augment, Fit, LoadedBackbone, Phase, Solve, Statistics
from tlapp.engine.job import Job
from tlapp.engine.network.cut import Cut, cut
from tlapp.engine.network.deploy import deployed
from tlapp.engine.network.net import PhaseNet
from tlapp.engine.report import Reporter
from tlapp.engine.runs import checkpoint
from tlapp.engine.runs.folder import BEST
from tlapp.engine.runs.history import Epoch
from tlapp.engine.runs.record import Record
from tlapp.engine.training.fit import Fitting
from tlapp.engine.training.selection import Best, Liked
from tlapp.engine.training.solve import solve
from tlapp.engine.training.statistics import renew
from tlapp.engine.training.streams import Streams, sees_labels
from tlapp.errors import PluginError, TlappError

AUX = "aux"
"""The part that is the head of the stream of that name."""
CHECKPOINT_SECONDS = 10.0
"""At most so much work is lost when a run is killed."""


class Phases:
    """Carries phases out on one network.

    Args:
        phases: with the augmentation that each is to have.
        graph: pictures to features, with what was grafted.
        layer: the head's, built.
        streams: where the examples come from.
        record: the run's folder.

    Attributes:
        cuts: where the frozen front of each phase ends.
        layer: the head as it now stands; a solver replaces it.
        history: the epochs so far.
        seconds: spent on fronts and on training.
    """

    def __init__(
        self, job: Job, phases: Sequence[Phase], graph: Any, backbone: LoadedBackbone, layer: Any, streams: Streams,
        record: Record, reporter: Reporter,
    ):  # fmt: skip
        self.job, self.phases, self.graph, self.backbone, self.layer = job, phases, graph, backbone, layer
        self.streams, self.record, self.reporter = streams, record, reporter
        self.cuts = [cut(graph, phase.rates, backbone.stage_of) for phase in phases]
        self.history: list[Epoch] = []
        self.seconds = {"front": 0.0, "train": 0.0}
        self._latest: checkpoint.State | None = None
        self._written, self._told = time.monotonic(), 0
        self._solved, self._lead = b"", float("inf")
        self._base: list[Any] = []
        self._liked = Liked()
        self._dice: dict[int, np.ndarray] = {}
        self.aux = self._aux_head()

    def model(self) -> Any:
        """The deployed model as it stands."""
        return deployed(self.graph, self.layer, self.job.head.activation)

    def last(self, layer: Any = None) -> tuple[PhaseNet, Cut]:
        """The net of the last phase, with another layer for its head where one is given, and its cut."""
        phase, where = self.phases[-1], self.cuts[-1]
        layer = self.layer if layer is None else layer
        return PhaseNet(where, phase, self.backbone.stage_of, self.job.head, layer, {}), where

    def begin(self, left: checkpoint.State | None) -> None:
        """Start, or go on from a state."""
        self._latest = left
        if left:
            said = iter(left.said)
            epochs = [Epoch(*row) for row in left.history]
            self.history = [epoch._replace(said=next(said)) if epoch.target else epoch for epoch in epochs]
        self._told = len(self.history)
        self._written = time.monotonic()
        self.record.history(self.history)

    def carry_out(self) -> None:
        """One after the other."""
        import keras

        left = self._latest
        if left and left.solved:
            self.layer, self._solved = checkpoint.unpack_layer(left.solved, self.record.state), left.solved
        for number, (phase, where) in enumerate(zip(self.phases, self.cuts, strict=True)):
            if left and number < left.phase:
                self._remember_liked(number, phase, left)
                continue
            # Each phase draws its own random numbers, so that a resumed run need not repeat what earlier ones drew.
            keras.utils.set_random_seed(self.job.options.seed + 1 + number)
            here = left if left and number == left.phase else None
            if here:  # before the front is looked for, as what follows: its weights are part of its key
                touched = self._touched(number)
                checkpoint.assign(touched, here.variables[: len(touched)], self.record.state)
            best = self._best_before(number, here)
            began = time.perf_counter()
            self.streams.remembered.expect(self._ready(number))
            self.seconds["front"] += time.perf_counter() - began
            began = time.perf_counter()
            if isinstance(phase, Fit):
                self._fit(number, phase, where, here, best)
            elif isinstance(phase, Statistics):
                self._renew(number, phase, where, best)
            elif isinstance(phase, Solve):
                self._solve(phase, where)
            self.seconds["train"] += time.perf_counter() - began
        self._fall_back()

    def save_state(self) -> None:
        """Write the latest state, if there is one."""
        if self._latest is not None:
            told = self.history[: self._told]
            said = [epoch.said for epoch in told if epoch.said is not None]
            history = [[*epoch[:5], dict(epoch.target)] for epoch in told]
            checkpoint.write(self.record.state, self._latest._replace(history=history, said=said))
            self._written = time.monotonic()

    def _ready(self, number: int) -> list[tuple[Cut, Augment | None]]:
        """The cuts of this phase and of later ones whose fronts no phase from here to there trains: one pass serves them all."""
        trained: set[int] = set()
        ready = []
        for phase, where in zip(self.phases[number:], self.cuts[number:], strict=True):
            if not any(id(step.operation) in trained for step in where.front):
                ready.append((where, phase.augment))
            trained |= {id(s.operation) for s in where.rest if getattr(s.operation, "weights", ())}
        return ready

    def _touched(self, number: int) -> list[Any]:
        """The variables that the phases before this one may have changed."""
        return self._changed(range(number))

    def _changed(self, numbers: Iterable[int]) -> list[Any]:
        """The variables that phases may change, those of parts that end with their phase excepted."""
        pairs = [(self.phases[n], self.cuts[n]) for n in numbers if not isinstance(self.phases[n], Solve)]
        return list({id(v): v for p, where in pairs for v in self._net(p, where, self._kept_parts(p)).state()}.values())

    def _aux_head(self) -> Any:
        """The head of the stream aux, built as the first phase that has one says; None where none has."""
        makes = [phase.parts[AUX] for phase in self.phases if isinstance(phase, Fit) and AUX in phase.parts]
        if not makes:
            return None
        layer, wanted = self._as_layer(makes[0](), AUX), (None, len(self.streams.dataset.aux_classes))
        if (shape := tuple(layer(self.graph.outputs[0]).shape)) != wanted:
            raise PluginError(
                f"{self.job.label}: its part {AUX} must give (batch, classes of aux), here {wanted}. Received: {shape}"
            )
        return layer

    def _as_layer(self, part: Any, name: str) -> Any:
        import keras

        if not isinstance(part, keras.Layer):
            raise PluginError(f"{self.job.label}: part {name} is no Keras layer")
        return part

    def _kept_parts(self, phase: Phase) -> dict[str, Any]:
        return {AUX: self.aux} if isinstance(phase, Fit) and AUX in phase.parts else {}

    def _net(self, phase: Phase, where: Cut, parts: Mapping[str, Any]) -> PhaseNet:
        return PhaseNet(where, phase, self.backbone.stage_of, self.job.head, self.layer, parts)

    def _solve(self, phase: Solve, where: Cut) -> None:
        labels = self.streams.dataset.streams["train"].labels
        assert labels is not None, "the pictures that train have labels"
        self.layer = solve(phase, self.streams.source(phase, where, "train"), labels, len(self.streams.dataset.classes))
        self._solved = checkpoint.pack_layer(self.layer, self.graph.outputs[0])

    def _fit(self, number: int, phase: Fit, where: Cut, left: checkpoint.State | None, best: Best | None) -> None:
        made = {name: self._as_layer(factory(), name) for name, factory in phase.parts.items() if name != AUX}
        parts = made | self._kept_parts(phase)
        net = self._net(phase, where, parts)
        self._roll_back(net)
        given = None
        if phase.labeller is not None:
            given = (left.labels[0], left.labels[1]) if left else phase.labeller(*self.streams.describe(net, where))
        feeds = {name: self.streams.feed(phase, where, name, given) for name in phase.streams}
        judge = self._judge(net, where, phase)
        fitting = Fitting(net, feeds, self.job.options, self.job.options.seed * 1009 + number, judge, best)
        touched = self._touched(number)
        if left:
            fitting.restore(left, touched, self.record.state)
            began = [epoch for epoch in self.history if (epoch.phase, epoch.epoch) == (phase.name, 0)]
            fitting.first = began[0] if began else fitting.first

        def pause() -> None:
            also: dict[str, Any] = {"solved": self._solved, "base": self._base, "labels": given or ()}
            also["plain"] = self._liked.kept
            self._latest = checkpoint.State(phase=number, history=[], **also, **fitting.capture(touched))
            self._told = len(self.history)
            if time.monotonic() - self._written >= CHECKPOINT_SECONDS:
                self.save_state()

        try:
            given_up = fitting.run(self._tell, self.reporter.progress, pause)
        except KeyboardInterrupt:
            fitting.best.restore()
            self._end(phase, fitting.best.loss)
            self._fall_back()
            raise
        except TlappError as error:
            if not fitting.diverged:
                raise
            kept = self.record.model(self.model(), BEST)
            raise type(error)(f"{error}; the best weights so far are in {kept}") from error
        self._end(phase, fitting.best.loss)
        if given_up:
            self.reporter.note(f"phase {phase.name}: stopped, {given_up}; the best weights before that are kept")

    def _end(self, phase: Fit, loss: float) -> None:
        """Note by what a phase's best weights, which the net now has, lead."""
        self._lead = loss
        if phase.select == "target":
            self._liked.offer(phase.name, loss)
        elif sees_labels(phase):  # a loss on val is not to be held against the target's score
            self._liked.forget()

    def _renew(self, number: int, phase: Statistics, where: Cut, best: Best | None) -> None:
        net = self._net(phase, where, {})
        best = best or Best(net.state())
        judge = self._judge(net, where, phase)
        before = judge(0)
        best.begin(before)
        if before.target and not phase.alternative and not self._liked:
            self._liked.begin(self._changed(range(number, len(self.phases))), phase.name, before)
        sources = [(self.streams.source(phase, where, name), len(self.streams.dataset.streams[name])) for name in phase.streams]
        renew(net, sources)
        if not before.target:
            return
        after = judge(1)
        self._tell(before)
        self._tell(after._replace(best=best.update(after)))
        if phase.alternative:
            best.restore()
            self._lead = best.loss
        else:
            self._lead = -after.target["score"]
        self._liked.offer(phase.name, self._lead)

    def _roll_back(self, net: PhaseNet) -> None:
        """Put random states back to what they were before any phase drew from them: a resumed run does not repeat the others."""
        for variable in net.random():
            variable.assign(self._dice.setdefault(id(variable), np.array(variable)))

    def _remember_liked(self, number: int, phase: Phase, left: checkpoint.State) -> None:
        """Take what the target liked best from the checkpoint, past a phase that was over before the run was stopped."""
        told = [epoch for epoch in self.history if epoch.phase == phase.name and epoch.target]
        if isinstance(phase, Statistics) and told and not phase.alternative and not self._liked and left.plain:
            self._liked.begin(self._changed(range(number, len(self.phases))), phase.name, told[0], left.plain)
        for epoch in told:
            self._liked.hear(phase.name, -epoch.target["score"])
        if isinstance(phase, Fit) and phase.select != "target" and sees_labels(phase):
            self._liked.forget()

    def _fall_back(self) -> None:
        """Put back the weights that the target's score has liked best, where the last phase did not end with them."""
        if when := self._liked.restore(self._lead):
            self.reporter.note(f"the target's score was best {when}; the model as it then was is kept")

    def _judge(self, net: PhaseNet, where: Cut, phase: Phase) -> Callable[[int], Epoch]:
        return self.streams.judge(net, where, phase)

    def _tell(self, epoch: Epoch) -> None:
        self.history.append(epoch)
        self.record.epoch(epoch)
        self.reporter.epoch(epoch)

    def _best_before(self, number: int, left: checkpoint.State | None) -> Best | None:
        """The best of the alternatives before this one, with the weights put back to what they all start from."""
        if not self.phases[number].alternative:
            return None
        first = last = number
        while first > 0 and self.phases[first - 1].alternative:
            first -= 1
        while last + 1 < len(self.phases) and self.phases[last + 1].alternative:
            last += 1
        variables = self._changed(range(first, last + 1))
        if number == first and not left:
            self._base = checkpoint.values(variables)
        best = Best(variables, None if number == first else self._lead)
        self._base = list(left.base) if left else self._base
        checkpoint.assign(variables, self._base, self.record.state)
        return best
