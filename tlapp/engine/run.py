"""The story of a run: load, plan, check, cut, remember, fit, judge, record."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tlapp.contracts import BackboneProvider, Fit, Head, LoadedBackbone, Phase, Plan, Solve, Statistics, Strategy, Task
from tlapp.engine import data, state
from tlapp.engine.augment import basic
from tlapp.engine.cache import Remembered
from tlapp.engine.check import check_deploys, check_graft, check_labelling, make_plan
from tlapp.engine.cut import Cut, cut
from tlapp.engine.deploy import deployed
from tlapp.engine.export.trial import check_converts
from tlapp.engine.fit import Best, Epoch, Fitting
from tlapp.engine.labelling import LABELLINGS
from tlapp.engine.net import PhaseNet
from tlapp.engine.options import RunOptions
from tlapp.engine.outline import Outline, learning, phase_outline
from tlapp.engine.quiet import quiet_tensorflow
from tlapp.engine.record import Record
from tlapp.engine.report import Reporter
from tlapp.engine.solve import solve
from tlapp.engine.statistics import renew
from tlapp.engine.streams import Streams
from tlapp.engine.style import choose
from tlapp.engine.target import adaptation
from tlapp.errors import PluginError, TlappError, UserError, in_a_line


@dataclass(frozen=True)
class Job:
    """All that a run needs, resolved: the engine looks no name up.

    Attributes:
        provider, backbone: where the backbone comes from, and its name there.
        settings: everything, flat, as settings.yaml holds it.
        given: the keys that a flag or a file set.
        where: key -> the flag or file that set it, with its value.
        label: the strategy's name, distribution and version, for errors.
    """

    options: RunOptions
    strategy: Strategy
    head: Head
    provider: BackboneProvider
    backbone: str
    settings: Mapping[str, Any]
    given: Collection[str]
    where: Callable[[str], str]
    label: str


CHECKPOINT_SECONDS = 10.0
"""At most so much work is lost when a run is killed."""


class Interrupted(KeyboardInterrupt):
    """The user stopped the run; the best model so far is in `path`, and `--resume` goes on."""

    def __init__(self, path: Path, folder: Path):
        super().__init__(f"the best model so far is {path}; go on with: tlapp train --resume {folder}")
        self.path = path


def train(job: Job, reporter: Reporter, dry: bool = False, resume: bool = False, exports: str | None = None) -> Path | None:
    """Carry a job out.

    Args:
        dry: end when the plan was told.
        resume: go on with the run in the folder `job.options.run`.
        exports: "tflite" or "savedmodel", to refuse before training a model that does not convert to it.

    Returns:
        The run's folder; None for a dry run.

    Raises:
        UserError, PluginError: with the sentence to show.
        Interrupted: by Ctrl-C or SIGTERM, with the state and the best weights so far saved.
    """
    run = Run(job, reporter, resume)
    run.load()
    run.make_plan()
    if exports:
        run.check_exports(exports)
    if dry:
        return None
    run.begin()
    try:
        run.carry_out()
    except KeyboardInterrupt as stop:
        run.save_state()
        raise Interrupted(run.record.model(run.model(), "checkpoints/interrupted.keras"), run.record.folder) from stop
    run.finish()
    return run.record.folder


@dataclass
class Run:
    """A run under way."""

    job: Job
    reporter: Reporter
    resume: bool = False
    started: float = field(default_factory=time.perf_counter)
    _solved: bytes = b""
    _base: list[Any] = field(default_factory=list)
    _lead: float = float("inf")
    seconds: dict[str, float] = field(default_factory=lambda: {"data": 0.0, "front": 0.0, "train": 0.0})

    def load(self) -> None:
        """Read the pictures while TensorFlow and the backbone load."""
        options, self.labelling = self.job.options, LABELLINGS[self.job.head.labels]
        self.record = Record(options.run, options.plugin, self.resume)
        reading = None
        size = options.image_size or self.job.provider.native_size(self.job.backbone)
        if size is not None:
            reading = data.start(options, size, self.reporter.progress, self.labelling)
        quiet_tensorflow()
        import keras

        keras.utils.set_random_seed(options.seed)
        self.backbone = self.job.provider.load(self.job.backbone, image_size=options.image_size, weights=options.backbone_weights)
        began = time.perf_counter()
        reading = reading or data.start(options, self.backbone.facts.input.size, self.reporter.progress, self.labelling)
        self.dataset = reading.result()
        self.seconds["data"] = time.perf_counter() - began
        for note in self.dataset.notes:
            self.reporter.note(note)

    def make_plan(self) -> None:
        """Ask the strategy, check what it says, cut the network and tell the outline."""
        options, streams = self.job.options, self.dataset.streams
        self.task = Task(self.dataset.classes, {name: len(stream) for name, stream in streams.items()})
        try:
            self.plan = make_plan(self.job.strategy, self.task, self.backbone.facts, self.job.label)
        except UserError as error:
            raise UserError(f"{self._culprit(error)}{error}") from error
        if self.labelling.kind == "many":
            check_labelling(self.plan, options.head, self.job.label)
        if self._solves_only() and (key := self._useless()):
            raise UserError(f"{self.job.where(key)}: strategy {options.plugin} solves for its own head; leave it out")
        self.graph = _graft(self.plan, self.backbone, self.job.label)
        pixels = streams["train"].pixels.rows
        self.remembered = Remembered(self.graph, pixels, pixels.path.stem, options.seed, options.cache, self.reporter.progress)
        self.streams = Streams(self.dataset, self.remembered, options, self.job.head)
        self.phases = [self._with_augment(phase) for phase in self.plan.phases]
        self.cuts = [cut(self.graph, phase.rates, self.backbone.stage_of) for phase in self.phases]
        self.layer = self.job.head.build(self.graph.outputs[0], self.task)
        self.layer(self.graph.outputs[0])
        if self.plan.graft is not None:
            check_deploys(self.model, self.job.label)
        self.outline = self._outline()
        self.reporter.outline(self.outline)

    def check_exports(self, kind: str) -> None:
        """Convert the deployed model, untrained as it is.

        Raises:
            UserError: it does not convert; names the operation.
        """
        what = f"{self.backbone.facts.name} by strategy {self.job.options.plugin} with head {self.outline.head}"
        check_converts(self.model(), kind, self.task.classes, what)
        solved = any(isinstance(phase, Solve) for phase in self.plan.phases)
        self.reporter.note(f"exports to {kind}: yes{', as far as is known before the head is solved for' if solved else ''}")

    def begin(self) -> None:
        """Make the run's folder, or read where it was left."""
        rows = [tuple(row) for row in data.split_rows(self.dataset)]
        self._latest: state.State | None = None
        self._written = time.monotonic()
        if self.resume and self.record.begun:
            self.record.resume(rows)
            self._latest = state.read(self.record.state)
        else:
            self.record.begin(self.job.settings, self.outline.to_json(), self.dataset.classes, rows)
        self.history = [Epoch(*row) for row in self._latest.history] if self._latest else []
        if self._latest:
            said = iter(self._latest.said)
            self.history = [epoch._replace(said=next(said)) if epoch.target else epoch for epoch in self.history]
        self._told = len(self.history)
        self.record.history(self.history)

    def carry_out(self) -> None:
        """The phases, one after the other."""
        left = self._latest
        if left and left.solved:
            self.layer, self._solved = state.unpack_layer(left.solved), left.solved
        if any(phase.select == "target" for phase in self.phases):
            self.streams.remember_target(cut(self.graph, self.backbone.facts.frozen(), self.backbone.stage_of))
        for number, (phase, where) in enumerate(zip(self.phases, self.cuts, strict=True)):
            if left and number < left.phase:
                continue
            # Each phase draws its own random numbers, so that a resumed run need not repeat what earlier ones drew.
            _seed(self.job.options.seed + 1 + number)
            if left and number == left.phase:  # before the front is looked for: its weights are part of its key
                touched = self._touched(number)
                state.assign(touched, left.variables[: len(touched)], self.record.state)
            began = time.perf_counter()
            self.remembered.prepare(self._ready(number))
            self.seconds["front"] += time.perf_counter() - began
            began = time.perf_counter()
            if isinstance(phase, Fit):
                self._fit(number, phase, where, left if left and number == left.phase else None)
            elif isinstance(phase, Statistics):
                self._renew(number, phase, where)
            elif isinstance(phase, Solve):
                self._solve(phase, where)
            self.seconds["train"] += time.perf_counter() - began

    def save_state(self) -> None:
        """Write the latest state, if there is one."""
        if self._latest is not None:
            told = self.history[: self._told]
            said = [epoch.said for epoch in told if epoch.said is not None]
            history = [[*epoch[:5], dict(epoch.target)] for epoch in told]
            state.write(self.record.state, self._latest._replace(history=history, said=said))
            self._written = time.monotonic()

    def finish(self) -> None:
        """Judge the model and complete the run's folder."""
        self.record.model(self.model())
        net = self._net(self.phases[-1], self.cuts[-1], {})
        results = {name: self.streams.metrics(net, self.cuts[-1], name) for name in ("val", "test", "target")}
        if told := adaptation(self.history, self.dataset.streams.get("target")):
            results["adaptation"] = told
        seconds = {"total": time.perf_counter() - self.started, **self.seconds}
        images = {name: len(stream) for name, stream in self.dataset.streams.items()}
        self.record.finish({**results, "seconds": seconds, "images": images, "peak_memory_mb": peak_memory_mb()})

    def model(self) -> Any:
        """The deployed model as it stands."""
        return deployed(self.graph, self.layer, self.job.head.activation)

    def _solves_only(self) -> bool:
        return all(isinstance(phase, Solve) for phase in self.plan.phases)

    def _useless(self) -> str | None:
        """A given option of the head that is not the default's, where the strategy solves for its own."""
        head = self.job.options.head != RunOptions.model_fields["head"].default
        changed = {"head"} if head else {f"head_{key}" for key in self.job.head.model_dump(exclude_defaults=True)}
        return next((key for key in self.job.given if key in changed), None)

    def _culprit(self, error: UserError) -> str:
        """The flag or file of the one strategy option that holds the offending value."""
        held = [key for key, value in self.job.strategy.model_dump().items() if value == error.received]
        return f"{self.job.where(held[0])}: " if len(held) == 1 and error.received is not None else ""

    def _with_augment(self, phase: Phase) -> Phase:
        if phase.augments:
            chosen = choose(phase.augments, self.graph, self.dataset.streams[phase.streams[0]], self.dataset.streams["target"])
            self.reporter.note(f"phase {phase.name}: {chosen.name} brings the pictures nearest to the target's")
            return replace(phase, augment=chosen)
        asked = self.job.options.augment == "basic" and phase.augment is None and isinstance(phase, Fit)
        return replace(phase, augment=basic()) if asked else phase

    def _outline(self) -> Outline:
        facts, options = self.backbone.facts, self.job.options
        params = {stage.name: stage.params for stage in facts.stages}
        return Outline(
            options.plugin, facts.name, self.backbone.weights, self.backbone.licence,
            "solved" if self._solves_only() else options.head,
            facts.input.size, self.task.classes, dict(self.task.streams), len(facts.stages), sum(params.values()),
            tuple(
                phase_outline(phase, where, learning(phase, self.backbone, params), self.remembered)
                for phase, where in zip(self.phases, self.cuts, strict=True)
            ),
            self.labelling.kind,
        )  # fmt: skip

    def _ready(self, number: int) -> list[Cut]:
        """The cuts of this phase and of later ones whose fronts no phase from here to there trains: one pass serves them all."""
        trained: set[int] = set()
        ready = []
        for phase, where in zip(self.phases[number:], self.cuts[number:], strict=True):
            if phase.augment is None and not any(id(step.operation) in trained for step in where.front):
                ready.append(where)
            trained |= {id(s.operation) for s in where.rest if getattr(s.operation, "weights", ())}
        return ready

    def _touched(self, number: int) -> list[Any]:
        """The variables that the phases before this one may have changed."""
        return self._changed(range(number))

    def _changed(self, numbers: Iterable[int]) -> list[Any]:
        """The variables that phases may change, parts excepted."""
        pairs = [(self.phases[n], self.cuts[n]) for n in numbers if not isinstance(self.phases[n], Solve)]
        return list({id(v): v for phase, where in pairs for v in self._net(phase, where, {}).state()}.values())

    def _net(self, phase: Phase, where: Cut, parts: Mapping[str, Any]) -> PhaseNet:
        return PhaseNet(where, phase, self.backbone.stage_of, self.job.head, self.layer, parts)

    def _solve(self, phase: Solve, where: Cut) -> None:
        labels = self.dataset.streams["train"].labels
        assert labels is not None, "the pictures that train have labels"
        self.layer = solve(phase, self.streams.source(phase, where, "train"), labels, len(self.task.classes))
        self._solved = state.pack_layer(self.layer, self.graph.outputs[0])

    def _fit(self, number: int, phase: Fit, where: Cut, left: state.State | None) -> None:
        import keras

        parts = {name: factory() for name, factory in phase.parts.items()}
        if bad := next((name for name, part in parts.items() if not isinstance(part, keras.Layer)), None):
            raise PluginError(f"{self.job.label}: phase {phase.name}: part {bad} is no Keras layer")
        net = self._net(phase, where, parts)
        best = self._best_before(number, net, left)
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
            self._latest = state.State(phase=number, history=[], **also, **fitting.capture(touched))
            self._told = len(self.history)
            if time.monotonic() - self._written >= CHECKPOINT_SECONDS:
                self.save_state()

        try:
            given_up = fitting.run(self._tell, self.reporter.progress, pause)
        except KeyboardInterrupt:
            fitting.best.restore()
            raise
        except TlappError as error:
            if not fitting.diverged:
                raise
            kept = self.record.model(self.model(), "checkpoints/best.keras")
            raise type(error)(f"{error}; the best weights so far are in {kept}") from error
        self._lead = fitting.best.loss
        if given_up:
            self.reporter.note(f"phase {phase.name}: stopped, {given_up}; the best weights before that are kept")

    def _renew(self, number: int, phase: Statistics, where: Cut) -> None:
        net = self._net(phase, where, {})
        best = self._best_before(number, net, None) or Best(net.state())
        judge = self._judge(net, where, phase)
        before = judge(0)
        best.begin(before)
        sources = [(self.streams.source(phase, where, name), len(self.dataset.streams[name])) for name in phase.streams]
        renew(net, sources)
        after = judge(1)
        if phase.select == "target":
            self._tell(before)
            self._tell(after._replace(best=best.update(after)))
            best.restore()
            self._lead = best.loss

    def _judge(self, net: PhaseNet, where: Cut, phase: Phase) -> Callable[[int], Epoch]:
        return self.streams.judge(net, where, phase)

    def _tell(self, epoch: Epoch) -> None:
        self.history.append(epoch)
        self.record.epoch(epoch)
        self.reporter.epoch(epoch)

    def _best_before(self, number: int, net: PhaseNet, left: state.State | None) -> Best | None:
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
            self._base = state.values(variables)
        best = Best(variables, None if number == first else self._lead)
        self._base = list(left.base) if left else self._base
        state.assign(variables, self._base, self.record.state)
        return best


def _seed(seed: int) -> None:
    import keras

    keras.utils.set_random_seed(seed)


def peak_memory_mb() -> float:
    """The most memory that this process had in use, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _graft(plan: Plan, backbone: LoadedBackbone, label: str) -> Any:
    if plan.graft is None:
        return backbone.graph
    try:
        graph = plan.graft(backbone)
    except TlappError:
        raise
    except Exception as error:  # a stranger's code may raise anything; its name is what helps
        raise PluginError(f"{label}: its graft failed: {in_a_line(error)}") from error
    check_graft(graph, backbone, label)
    return graph
