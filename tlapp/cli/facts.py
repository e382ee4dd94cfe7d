"""A backbone and a task to plan for without loading anything, and a plan in words."""

from __future__ import annotations

from collections.abc import Iterator

from tlapp.contracts import Backbone, Fit, ImageInput, Phase, Plan, Stage, Statistics, Task

# As `tlapp backbones show keras-cv:efficientnet-lite0` says; a test compares them.
LITE0 = Backbone(
    "keras-cv:efficientnet-lite0",
    ImageInput(224),
    (
        Stage("stem", 1984, (112, 112, 16)),
        Stage("stage2", 15024, (56, 56, 24)),
        Stage("stage3", 41408, (28, 28, 40)),
        Stage("stage4", 203760, (14, 14, 80)),
        Stage("stage5", 454752, (14, 14, 112)),
        Stage("stage6", 1670688, (7, 7, 192)),
        Stage("stage7", 610688, (7, 7, 320)),
        Stage("top", 414720, (1280,)),
    ),
)
TASK = Task(tuple("abcdefghij"), {"train": 650, "val": 150, "test": 200, "target": 1000, "aux": 1000}, tuple("uvw"))
"""Ten classes of a hundred pictures, and every stream that a strategy may ask for."""


def plan_lines(plan: Plan, backbone: Backbone) -> Iterator[str]:
    """A plan for people, a line a phase."""
    yield f"plan for {backbone.name} ({len(backbone.stages)} stages, {backbone.input.size} px), with the default options:"
    if plan.graft is not None:
        yield "  a graft changes the network first"
    for phase in plan.phases:
        yield f"  {phase.name}: {'; '.join(_facts(phase, backbone))}"


def _facts(phase: Phase, backbone: Backbone) -> Iterator[str]:
    """What a phase does, in pieces."""
    live = {name: rate for name, rate in phase.rates.items() if rate > 0}
    share = sum(stage.params for stage in backbone.stages if stage.name in live) / sum(s.params for s in backbone.stages)
    names = ", ".join(name if rate == 1 else f"{name} x{rate:.3g}" for name, rate in live.items())
    if isinstance(phase, Statistics):
        yield "batch-norm statistics are taken anew"
    elif not isinstance(phase, Fit):
        yield "the head is solved for"
    else:
        chosen = "; of these, only some variables" if phase.only else ""
        yield f"{names} ({share:.0%} of the parameters{chosen}) and the head train" if live else "the head trains"
        yield f"at most {phase.epochs} epochs at {phase.learning_rate:g}"
        own = {"its own loss": phase.loss, "its own batches": phase.sampler, f"parts {', '.join(phase.parts)}": phase.parts}
        yield from (word for word, there in own.items() if there)
        if live and phase.batch_norm != "frozen":
            yield f"batch norm {phase.batch_norm}"
    if phase.streams != ("train",):
        yield f"on {' and '.join(phase.streams)}"
    if phase.augment:
        yield f"augment {phase.augment.name}"
