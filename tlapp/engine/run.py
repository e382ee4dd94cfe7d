"""The story of a run: list, plan, read, load, cut, remember, train, judge, record."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlapp.contracts import Backbone, Input, Task
from tlapp.engine.advice.baselines import frozen
from tlapp.engine.advice.results import Results
from tlapp.engine.advice.unknown import check_unknown
from tlapp.engine.check import check_labelling, check_trains, make_plan, plans_ahead, refuse_unread
from tlapp.engine.data import streams
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.data.listing import fitted
from tlapp.engine.export.preflight import check_converts
from tlapp.engine.inputs import kept, reader, stated_input
from tlapp.engine.inputs.recognition import check_fits
from tlapp.engine.inputs.rows import Use
from tlapp.engine.job import Job
from tlapp.engine.memory import peak_memory_mb
from tlapp.engine.merge import keep
from tlapp.engine.network.activations import Remembered
from tlapp.engine.network.adapt import begun
from tlapp.engine.network.changes import Untouched
from tlapp.engine.network.graft import check_deploys, check_opens, finished, grafted
from tlapp.engine.outline import run_outline
from tlapp.engine.report import Reporter, tell_data
from tlapp.engine.runs.folder import INTERRUPTED
from tlapp.engine.runs.record import Record
from tlapp.engine.training.feeds import Streams
from tlapp.engine.training.first_pass import FirstPass
from tlapp.engine.training.order import in_order
from tlapp.engine.training.phases import Phases, untouched_cuts
from tlapp.engine.training.style import Styles, augmented
from tlapp.engine.visuals.at_the_end import report_run
from tlapp.errors import PluginError


class Interrupted(KeyboardInterrupt):
    """The user stopped the run in `resumable`, which can be resumed; the best model so far is in `path`, None before an epoch."""

    def __init__(self, path: Path | None, folder: Path):
        super().__init__(f"the best model so far is {path}" if path else "")
        self.path, self.resumable = path, folder


def train(job: Job, reporter: Reporter, dry: bool = False, resume: bool = False, exports: str | None = None) -> Path | None:
    """Carry a job out.

    Args:
        dry: stop when the plan is made.
        resume: resume the run in the folder `job.options.run`.
        exports: "tflite" or "savedmodel", to refuse before training a model that does not convert to it.

    Returns:
        The run's folder; None for a dry run.

    Raises:
        UserError, PluginError: with the sentence to show.
        Interrupted: by Ctrl-C or SIGTERM, with the state and the best weights so far saved.
    """
    run = Run(job, reporter, resume)
    try:
        run.load(ahead=not dry)
        run.prepare()
        run.check_opens()
        if exports:
            run.check_exports(exports)
        return None if dry else _trained(run)
    finally:
        run.release()


def _trained(run: Run) -> Path:
    """Train a run that has its plan; return its folder."""
    run.begin()
    try:
        run.work.carry_out()
        run.finish()
    except KeyboardInterrupt as stop:
        run.work.save_state()
        path = run.record.model(run.work.model(), INTERRUPTED) if run.work.number or run.work.history.epochs else None
        raise Interrupted(path, run.record.folder) from stop
    report_run(run, time.perf_counter() - run.started)
    return run.record.folder


@dataclass
class Run:
    """A run under way."""

    job: Job
    reporter: Reporter
    resume: bool = False
    started: float = field(default_factory=time.perf_counter)
    carrier: type[Phases] = Phases

    def release(self) -> None:
        """Let another process go on with the run."""
        if hasattr(self, "record"):
            self.record.release()

    def load(self, ahead: bool = True) -> None:
        """List the examples, ask for the plan, then read them while TensorFlow and the backbone load.

        The plan waits for the backbone's facts. `ahead`: examples too many to be held are computed while they are read.
        """
        options, provider, name = self.job.options, self.job.provider, self.job.backbone
        self.labelling = LABELLINGS[self.job.head.labels]
        self.record = Record(options.run, options.plugin, self.resume)
        facts, stated = provider.facts(name, options.image_size), stated_input(provider, name, options.image_size)
        if stated is None:  # what an example is can be told only by the loaded backbone
            self.backbone = begun(provider, name, options)
            facts, stated = self.backbone.facts, self.backbone.facts.input
        check_fits(stated.kind, options)
        listing = streams.list_sources(options, reader(stated, options), self.labelling)
        if note := self.job.where_data_is_built_in(listing.input):
            self.reporter.note(note)
        labels = self.job.head.labels
        listed = streams.task_of(listing, streams.expected_counts(listing, options), labels)
        if facts:
            self.ask(listed, facts, listing.input)
        expected, listing = listing.input, fitted(listing)
        first = self.first = FirstPass(options, self.reporter.progress, self.job.cluster)
        reading = streams.start(listing, options, self.reporter.progress, first.use if ahead else Use(False))
        try:
            if not hasattr(self, "backbone"):
                self.backbone = begun(provider, name, options)
            if reader(self.backbone.facts.input, options) != expected:
                raise PluginError(f"loads with the input {self.backbone.facts.input}; expected {stated}", options.backbone)
            if not facts:
                self.ask(listed, self.backbone.facts, listing.input)
            began = time.perf_counter()
            self.graft()
            first.begin(self.backbone, self.plan, self.graph, self.untouched)
            self.dataset = reading.result()
            self.waited = time.perf_counter() - began - first.seconds
        except BaseException:
            first.cancel()
            reading.cancel()
            raise
        tell_data(self.reporter, self.dataset.notes, self.dataset.inventory.problems)
        counts = {name: len(stream) for name, stream in self.dataset.streams.items()}
        self.ask(streams.task_of(self.dataset, counts, labels), self.backbone.facts, listing.input)
        check_unknown(options.unknown, self.job.head, counts.get("val"), listing.input.noun, options.refit)

    def ask(self, task: Task, facts: Backbone, examples: Input) -> None:
        """Ask the strategy for its plan and check it, unless it was asked of the same task and backbone."""
        if getattr(self, "_asked", None) == (task, facts):
            return
        plan = make_plan(self.job.strategy, task, facts)
        if self.labelling.kind != "one":
            check_labelling(plan, self.job.options.head, self.labelling.takes)
        if not self.resume:
            refuse_unread(self.job, plan, examples)
        self.task, self.plan, self._asked = task, plan, (task, facts)

    def graft(self) -> None:
        """Change the network as the plan says, once for a plan."""
        if (before := getattr(self, "_grafted", None)) is self.plan:
            return
        if before is not None and before.graft:
            self.backbone = begun(self.job.provider, self.job.backbone, self.job.options)  # as a graft draws random numbers
        self._grafted, self.graph = self.plan, grafted(self.plan, self.backbone)
        ahead = plans_ahead(self.job, self.task, self.backbone.facts)
        self.untouched = untouched_cuts(self.backbone, ahead) if self.labelling.kind == "one" else []

    def prepare(self) -> None:
        """Cut the network and tell the outline."""
        self.graft()
        options, graph = self.job.options, self.graph
        tables = self.dataset.streams["train"].examples.tables
        remembered = Remembered(graph, tables, options, self.reporter.progress, self.job.cluster)
        layer = self.job.head.build(graph.outputs[0], self.task)
        layer(graph.outputs[0])
        styles, note = Styles(graph, self.dataset.streams), self.reporter.note
        places = [augmented(place, styles, options, note) for place in in_order(self.plan)]
        self.work = self.carrier(
            self.job, places, graph, self.backbone, layer,
            Streams(self.dataset, remembered, options, self.job.head), self.record, self.reporter,
        )  # fmt: skip
        self.first.settle(self.work)
        if self.plan.graft is not None:
            check_deploys(self.work.model)
        if self.plan.finish is not None:
            self.model()
        self.outline = run_outline(self.work, self.task, self.labelling.kind)
        for slot, told in zip(self.work.slots, self.outline.phases, strict=True):
            check_trains(slot.phase, told.trains)
        self.reporter.outline(self.outline)

    def model(self) -> Any:
        """The deployed model as it stands, finished as the plan says."""
        train = self.dataset.streams["train"]
        return finished(self.plan.finish, self.work.model(), lambda: train.examples.take(range(min(len(train), 16))))

    def check_opens(self) -> None:
        """Check that the model will be opened again as it is to be saved.

        Raises:
            PluginError: a graft added a layer of a class of its own.
        """
        if self.plan.graft is not None:
            check_opens(self.graph, self.backbone.graph.layers, self.job.provider.custom_layers().values())

    def check_exports(self, kind: str) -> None:
        """Convert the deployed model, untrained as it is.

        Raises:
            UserError: it does not convert; names the operation.
        """
        what = f"{self.backbone.facts.name} by strategy {self.job.options.plugin} with head {self.outline.head}"
        check_converts(self.model(), kind, self.task.classes, what, self.dataset.input.export, self.labelling.kind)
        solved = any(not slot.in_place for slot in self.work.slots)
        self.reporter.note(f"exports to {kind}: yes{', as far as is known before the head is fitted' if solved else ''}")

    def begin(self) -> None:
        """Make the run's folder, or read where it was left."""
        rows, column = streams.split_rows(self.dataset), self.dataset.input.column
        resumed = self.resume and self.record.begun
        if resumed:
            self.record.resume(rows, column)
        else:
            settings, outline, (listed, problems) = self.job.settings, self.outline.to_json(), self.dataset.inventory
            self.record.begin(settings, outline, self.dataset.classes, rows, column, listed, problems, kept(self.dataset.input))
        self.own = Untouched(self.backbone.graph)
        self.baselines = frozen(self.work, resumed, self.untouched)
        self.work.begin(resumed)
        self.reporter.begun(self.record.folder)

    def finish(self) -> None:
        """Judge the model and complete the run's folder."""
        trained = any(phase.trains for phase in self.outline.phases)
        found = Results(self.work, self.baselines, trained or self.graph is not self.backbone.graph, trained)
        self.record.model(self.model())
        results, images = found.metrics(), {name: len(stream) for name, stream in self.dataset.streams.items()}
        seconds = {"total": time.perf_counter() - self.started, "data": self.waited, **self.work.seconds}
        found.write()
        self.record.history(self.work.history.epochs)  # its lines were added without waiting until they are on the disk
        metrics = {**results, "seconds": seconds, "images": images, "peak_memory_mb": peak_memory_mb()}
        keep(self.work, self.own, self.task, self.outline, metrics)
        self.record.finish(metrics)
