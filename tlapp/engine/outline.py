"""The outline of a run: what each phase does, where its cut is, what is remembered. Shown, and kept as plan.json."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tlapp.contracts import Backbone, Phase, Plan, Task
from tlapp.engine.network.activations import Remembered
from tlapp.engine.report import Outline, PhaseOutline
from tlapp.engine.training.kinds import kind_of
from tlapp.engine.training.order import in_order
from tlapp.engine.training.session import Session, Slot


def phase_words(phase: Phase, share: str = "", grafted: bool = False) -> str:
    """What a phase does, in a sentence: the only place that says it, for the screen, plan.json, model cards and `plugins show`.

    Args:
        share: how much of the backbone trains, in words.
        grafted: whether something was grafted that can train.
    """
    live = {name: rate for name, rate in phase.rates.items() if rate > 0}
    if grafted and (rate := getattr(phase, "graft_rate", 0)) > 0:
        live["what was grafted"] = rate
    stages = ", ".join(name if rate == 1 else f"{name} x{rate:.3g}" for name, rate in live.items())
    first, *more = kind_of(phase).does(phase, stages)
    words = [f"{first} ({share})" if share else first, *more]
    if phase.streams != ("train",) and kind_of(phase).trains:
        words.append(f"on {' and '.join(phase.streams)}")
    return ", ".join(words)


def plan_lines(plan: Plan, backbone: Backbone) -> Iterator[str]:
    """A plan for people before anything is loaded, a line a phase."""
    yield f"plan for {backbone.name} ({len(backbone.stages)} stages, {backbone.input.words}), with the default options:"
    if plan.graft is not None:
        yield "  a graft changes the network first"
    params = {stage.name: stage.params for stage in backbone.stages}
    places = in_order(plan)
    for place, indent in zip(places, indents([each.group for each in places]), strict=True):
        phase = place.phase
        if indent.heading:
            yield indent.heading
        live = sum(params[name] for name, rate in phase.rates.items() if rate > 0) if kind_of(phase).trains else 0
        share = f"{live / max(sum(params.values()), 1):.0%} of the parameters" if live else ""
        augment = f", augment {phase.augment.name}" if phase.augment else ""
        yield f"{indent.space}{phase.name}: {phase_words(phase, share, plan.graft is not None)}{augment}"


class Indent(NamedTuple):
    """What stands before a phase's line, and the line above it that tells of alternatives, if it is the first of several."""

    space: str
    heading: str = ""


def indents(groups: Sequence[int | None]) -> Iterator[Indent]:
    """For each phase in order, by the group that it is in, how its line begins."""
    for number, group in enumerate(groups):
        if group is None:
            yield Indent("  ")
        else:
            yield Indent("    ", "  alternatives; the best one is kept:" if number == group else "")


def run_outline(work: Session, task: Task, labelling: str) -> Outline:
    """The outline of a run whose phases have their places."""
    options, backbone = work.job.options, work.backbone
    facts, source = backbone.facts, work.streams.dataset.input
    params = sum(stage.params for stage in facts.stages)
    solved = all(not slot.in_place for slot in work.slots)
    grafted = any(layer.weights and layer.name not in backbone.stage_of for layer in work.graph.layers)
    return Outline(
        options.plugin, facts.name, backbone.weights, backbone.licence, "solved" if solved else options.head,
        source.key().get("size"), task.classes, dict(task.streams), len(facts.stages), params,
        tuple(
            phase_outline(slot, trained_parameters(work, slot), work.streams.remembered, params, grafted) for slot in work.slots
        ),
        labelling, source.kind, source.noun, source.words, tuple(stage.name for stage in facts.stages),
    )  # fmt: skip


def trained_parameters(work: Session, slot: Slot) -> int:
    """How many parameters of the backbone train in a phase."""
    if not kind_of(slot.phase).trains:
        return 0
    return sum(math.prod(variable.shape) for variable in work.net(slot, {}).trained_in_backbone())


def phase_outline(slot: Slot, trains: int, remembered: Remembered, params: int, grafted: bool = False) -> PhaseOutline:
    """The outline of a phase that trains so many parameters of the backbone, which has `params`, or of what was grafted."""
    phase, cut = slot.phase, slot.cut
    copies = (phase.augment.views or 0) if phase.augment else 1
    cached = copies > 0 and remembered.fits(cut, copies)
    shapes = () if cut.at_input else tuple(remembered.row_shape(tensor) for tensor in cut.boundary)
    size = remembered.row_bytes(cut) * remembered.count * copies
    return PhaseOutline(
        phase.name,
        kind_of(phase).name,
        phase_words(phase, f"{trains:,} of {params:,} parameters" if trains else "", grafted),
        getattr(phase, "epochs", None),
        getattr(phase, "learning_rate", None),
        phase.streams,
        phase.augment.name if phase.augment else None,
        {name: rate for name, rate in phase.rates.items() if rate > 0},
        trains,
        shapes,
        "none" if cut.at_input else "cached" if cached else "computed each epoch",
        round(size / 2**20, 1) if cached else 0.0,
        slot.group,
    )
