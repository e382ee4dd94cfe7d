"""The story of a run: load, plan, check, cut, remember, fit, judge, record."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts import LoadedBackbone, Phase, Plan, Solve, Task
from tlapp.engine.check import check_deploys, check_graft, check_labelling, make_plan
from tlapp.engine.data import streams
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.export.preflight import check_converts
from tlapp.engine.inputs.augment import candidates
from tlapp.engine.job import Job
from tlapp.engine.network.activations import Remembered
from tlapp.engine.options import RunOptions
from tlapp.engine.outline import Outline, learning, phase_outline
from tlapp.engine.report import Reporter
from tlapp.engine.runs import checkpoint
from tlapp.engine.runs.record import Record
from tlapp.engine.training.adaptation import adaptation
from tlapp.engine.training.phases import Phases
from tlapp.engine.training.streams import Streams
from tlapp.engine.training.style import Styles
from tlapp.errors import PluginError, TlappError, UserError
from tlapp.tensorflow_import import quiet_tensorflow
from tlapp.words import in_a_line


class Interrupted(KeyboardInterrupt):
    """The user stopped the run; the best model so far is in `path`, and the run in `resumable` can be resumed."""

    def __init__(self, path: Path, folder: Path):
        super().__init__(f"the best model so far is {path}")
        self.path, self.resumable = path, folder


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
        run.work.carry_out()
        run.finish()
    except KeyboardInterrupt as stop:
        run.work.save_state()
        raise Interrupted(run.record.model(run.work.model(), "checkpoints/interrupted.keras"), run.record.folder) from stop
    return run.record.folder


@dataclass
class Run:
    """A run under way."""

    job: Job
    reporter: Reporter
    resume: bool = False
    started: float = field(default_factory=time.perf_counter)
    carrier: type[Phases] = Phases

    def load(self) -> None:
        """Read the pictures while TensorFlow and the backbone load."""
        options, self.labelling = self.job.options, LABELLINGS[self.job.head.labels]
        self.record = Record(options.run, options.plugin, self.resume)
        reading = None
        size = options.image_size or self.job.provider.native_size(self.job.backbone)
        if size is not None:
            reading = streams.start(options, size, self.reporter.progress, self.labelling)
        quiet_tensorflow()
        import keras

        keras.utils.set_random_seed(options.seed)
        self.backbone = self.job.provider.load(self.job.backbone, image_size=options.image_size, weights=options.backbone_weights)
        began = time.perf_counter()
        reading = reading or streams.start(options, self.backbone.facts.input.size, self.reporter.progress, self.labelling)
        self.dataset = reading.result()
        self.waited = time.perf_counter() - began
        for note in self.dataset.notes:
            self.reporter.note(note)

    def ask(self) -> None:
        """Ask the strategy for its plan and check it; graft what it says."""
        options, streams = self.job.options, self.dataset.streams
        self.task = Task(self.dataset.classes, {name: len(stream) for name, stream in streams.items()}, self.dataset.aux_classes)
        self.plan = make_plan(self.job.strategy, self.task, self.backbone.facts, self.job.label)
        if self.labelling.kind == "many":
            check_labelling(self.plan, options.head, self.job.label)
        if self._solves_only() and (key := self._useless()):
            raise UserError(f"strategy {options.plugin} solves for its own head; leave it out", self.job.settings[key], option=key)
        self.graph = _graft(self.plan, self.backbone, self.job.label)

    def make_plan(self) -> None:
        """Ask the strategy, cut the network and tell the outline."""
        self.ask()
        options, graph = self.job.options, self.graph
        pixels = self.dataset.streams["train"].pixels.rows
        remembered = Remembered(graph, pixels, pixels.path.stem, options.seed, options.cache, self.reporter.progress)
        layer = self.job.head.build(graph.outputs[0], self.task)
        layer(graph.outputs[0])
        styles = Styles(graph, self.dataset.streams)
        self.work = self.carrier(
            self.job, [self._with_augment(phase, styles) for phase in self.plan.phases], graph, self.backbone, layer,
            Streams(self.dataset, remembered, options, self.job.head), self.record, self.reporter,
        )  # fmt: skip
        if self.plan.graft is not None:
            check_deploys(self.work.model, self.job.label)
        self.outline = self._outline()
        self.reporter.outline(self.outline)

    def check_exports(self, kind: str) -> None:
        """Convert the deployed model, untrained as it is.

        Raises:
            UserError: it does not convert; names the operation.
        """
        what = f"{self.backbone.facts.name} by strategy {self.job.options.plugin} with head {self.outline.head}"
        check_converts(self.work.model(), kind, self.task.classes, what)
        solved = any(isinstance(phase, Solve) for phase in self.plan.phases)
        self.reporter.note(f"exports to {kind}: yes{', as far as is known before the head is solved for' if solved else ''}")

    def begin(self) -> None:
        """Make the run's folder, or read where it was left."""
        rows = [tuple(row) for row in streams.split_rows(self.dataset)]
        left = None
        if self.resume and self.record.begun:
            self.record.resume(rows)
            left = checkpoint.read(self.record.state)
        else:
            self.record.begin(self.job.settings, self.outline.to_json(), self.dataset.classes, rows)
        self.work.begin(left)
        self.reporter.begun(self.record.folder)

    def finish(self) -> None:
        """Judge the model and complete the run's folder."""
        self.record.model(self.work.model())
        net, where = self.work.last()
        results = {name: self.work.streams.metrics(net, where, name) for name in ("val", "test", "target")}
        if self.work.aux is not None:
            results["aux"] = self.work.streams.metrics(*self.work.last(self.work.aux), "aux_test")
        if told := adaptation(self.work.history, self.dataset.streams.get("target")):
            results["adaptation"] = told
        seconds = {"total": time.perf_counter() - self.started, "data": self.waited, **self.work.seconds}
        images = {name: len(stream) for name, stream in self.dataset.streams.items()}
        self.record.history(self.work.history)  # its lines were added without waiting until they are on the disk
        self.record.finish({**results, "seconds": seconds, "images": images, "peak_memory_mb": peak_memory_mb()})

    def _solves_only(self) -> bool:
        return all(isinstance(phase, Solve) for phase in self.plan.phases)

    def _useless(self) -> str | None:
        """A given option of the head that is not the default's, where the strategy solves for its own."""
        head = self.job.options.head != RunOptions.model_fields["head"].default
        changed = {"head"} if head else {f"head_{key}" for key in self.job.head.model_dump(exclude_defaults=True)}
        return next((key for key in self.job.given if key in changed), None)

    def _with_augment(self, phase: Phase, styles: Styles) -> Phase:
        if phase.augments:
            plain, *far = styles.distances(phase)
            nearest = int(np.argmin(far))
            name = phase.augments[nearest].name
            self.reporter.note(
                f"phase {phase.name}: {name} brings the pictures nearest to the target's, {far[nearest]:.3g} from them; "
                f"as they are {plain:.3g}"
            )
            return replace(phase, augment=phase.augments[nearest])
        found = candidates(phase, self.job.options)
        return replace(phase, augment=found[0]) if found else phase

    def _outline(self) -> Outline:
        facts, options = self.backbone.facts, self.job.options
        params = {stage.name: stage.params for stage in facts.stages}
        return Outline(
            options.plugin, facts.name, self.backbone.weights, self.backbone.licence,
            "solved" if self._solves_only() else options.head,
            facts.input.size, self.task.classes, dict(self.task.streams), len(facts.stages), sum(params.values()),
            tuple(
                phase_outline(phase, where, learning(phase, self.backbone, params), self.work.streams.remembered)
                for phase, where in zip(self.work.phases, self.work.cuts, strict=True)
            ),
            self.labelling.kind,
        )  # fmt: skip


def peak_memory_mb() -> float:
    """The most memory that this process had in use, in MiB."""
    try:  # Linux's ru_maxrss counts what the process had that started this one
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) / 2**10 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
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
