"""Check a plan before anything expensive starts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tlapp.contracts import Backbone, Fit, Input, OneOf, Phase, Plan, Strategy, Task
from tlapp.engine.inputs import unread_by
from tlapp.engine.job import Job
from tlapp.engine.training.fields import type_faults
from tlapp.engine.training.kind import TRAINING, augments_of
from tlapp.engine.training.kinds import KINDS, is_phase, kind_of
from tlapp.engine.training.order import in_order, solves_only
from tlapp.engine.training.selection import by_target
from tlapp.errors import PluginError, TlappError, UserError
from tlapp.words import a_few, shortened

STREAMS = ("train", "target", "aux", "support", "query")
"""The streams that a phase may name: val and test measure, and nothing trains on them."""
SELECT = ("val", "accuracy", "last", "target", "features")


def make_plan(strategy: Strategy, task: Task, backbone: Backbone) -> Plan:
    """The strategy's plan, checked.

    Raises:
        UserError: the options do not fit the backbone or the data.
        PluginError: the plan breaks the contract.
    """
    try:
        plan = strategy.plan(task, backbone)
    except UserError as error:
        raise _located(error, strategy) from error
    if not isinstance(plan, Plan) or not isinstance(plan.phases, tuple) or not plan.phases:
        raise PluginError(f"plan() must return a Plan with a tuple of at least one phase. Received: {shortened(plan)}")
    for name in ("graft", "finish"):
        if (made := getattr(plan, name)) is not None and not callable(made):
            raise PluginError(f"its {name} must be a function. Received: {shortened(made)}")
    for entry in plan.phases:
        _check_entry(entry)
    phases = [place.phase for place in in_order(plan)]
    names = [phase.name for phase in phases]
    for phase in phases:
        if names.count(phase.name) > 1:
            raise PluginError(f"phase {phase.name} occurs {names.count(phase.name)} times; names of phases must be unique")
        _check_phase(phase, task, backbone)
    _check_starts(phases)
    for phase, group in in_order(plan):
        if group is not None and not kind_of(phase).in_place:
            raise PluginError(
                f"phase {phase.name}: it fits a new head, which a OneOf cannot undo; put it before or after the OneOf"
            )
    return plan


def plans_ahead(job: Job, task: Task, backbone: Backbone) -> list[Plan]:
    """The plans of the strategies ahead that leave the network as it is; what is wrong with others is told in their turn."""
    plans = []
    for strategy in job.ahead:
        with suppress(TlappError):
            plans.append(make_plan(strategy, task, backbone))
    return [plan for plan in plans if not plan.graft]


def _located(error: UserError, strategy: Strategy) -> UserError:
    """The error of a plan, with the one option of the strategy that holds the offending value."""
    if error.option is None and error.received is not None:
        options = [key for key, value in strategy.model_dump().items() if value == error.received]
        error.option = options[0] if len(options) == 1 else None
    return error


def _check_entry(entry: object) -> None:
    """Check that an entry of a plan is a phase, or alternatives that are."""
    if isinstance(entry, OneOf):
        if not isinstance(entry.phases, tuple) or not entry.phases:
            raise PluginError(f"a OneOf must hold a tuple of at least one phase. Received: {shortened(entry.phases)}")
        if entry.select == "last":
            raise PluginError('a OneOf compares its alternatives, so that its select cannot be "last"')
        for phase in entry.phases:
            if not is_phase(phase):
                raise PluginError(f"the alternatives of a OneOf must be phases. Received: {shortened(phase)}")
    elif not is_phase(entry):
        kinds = " or a ".join(kind.__name__ for kind in KINDS)
        raise PluginError(f"a plan's phases must each be a {kinds}, or a OneOf of them. Received: {shortened(entry)}")


def _check_phase(phase: Phase, task: Task, backbone: Backbone) -> None:
    types = [*type_faults(phase)]
    faults = types or [*_rates_faults(phase, backbone), *_selection_faults(phase), *kind_of(phase).faults(phase)]
    if faults:
        raise PluginError(f"phase {phase.name}: {faults[0]}")
    for name in needs(phase):
        if name not in STREAMS:
            raise PluginError(f"phase {phase.name}: phases train on the streams {', '.join(STREAMS)}. Received: {name}")
        if name not in task.streams:
            raise UserError(f"phase {phase.name} needs examples of the stream {name}; set option {name} to a folder or CSV")


def _check_starts(phases: Sequence[Phase]) -> None:
    """Check that what a phase goes back to comes before it, and that it covers all that has trained since."""
    names = [phase.name for phase in phases]
    for number, phase in enumerate(phases):
        if not (since := kind_of(phase).since(phase)):
            continue
        if since not in names[:number]:
            earlier = a_few(names[:number]) or "there is none"
            raise PluginError(f"phase {phase.name}: since must name an earlier phase ({earlier}). Received: {since}")
        between = phases[names.index(since) : number]
        if solved := next((each.name for each in between if not kind_of(each).in_place), None):
            raise PluginError(f"phase {phase.name}: phase {solved} solves for a new head, so that there is no way back before it")
        trained = {name for each in between for name, rate in each.rates.items() if rate > 0}
        if missing := [name for name in trained if not phase.rates[name] > 0]:
            raise PluginError(
                f"phase {phase.name}: stage {missing[0]} has trained since phase {since}, so that its rate must be above 0"
            )


def _rates_faults(phase: Phase, backbone: Backbone) -> Iterator[str]:
    stages = [stage.name for stage in backbone.stages]
    if missing := [name for name in stages if name not in phase.rates]:
        yield f"gives no rate for stage {', '.join(missing)} of {backbone.name}; use 0.0 to freeze it"
    if extra := [name for name in phase.rates if name not in stages]:
        yield f"gives a rate for {', '.join(extra)}, but the stages of {backbone.name} are {', '.join(stages)}"
    for name, value in phase.rates.items():
        if not (math.isfinite(value) and value >= 0):
            yield f"the rate of stage {name} must be a finite number of at least 0. Received: {value}"


def _selection_faults(phase: Phase) -> Iterator[str]:
    if phase.select not in SELECT and not callable(phase.select):
        yield f"select must be one of {', '.join(SELECT)}, or a function. Received: {phase.select}"
    if (phase.select == "features") != (getattr(phase, "score", None) is not None):
        yield f'a score is what select="features" chooses by, and nothing else does. Received: select={phase.select!r}'
    for augment in augments_of(phase):
        if augment.per_step < 1 or augment.per_step > (augment.views or augment.per_step):
            yield f"per_step must be from 1 to views, here {augment.views}. Received: {augment.per_step}"


def needs(phase: Phase) -> list[str]:
    """The streams that a phase reads, its own ones and those that it is compared with."""
    compared = by_target(phase.select) or phase.augments or kind_of(phase).needs_target(phase)
    references = (augment.reference for augment in augments_of(phase) if augment.reference)
    return list(dict.fromkeys([*phase.streams, *(["target"] if compared else []), *references]))


UNREAD = {
    "weight_decay": "every phase that trains by gradient sets its own weight decay",
    "augment": "every phase that trains by gradient has its own augmentation",
    "label_smoothing": "no phase that trains by gradient reads labels",
    "class_weights": "no phase of this strategy's plan weights examples by their labels",
}
"""Why a plan may leave an option unread that training by gradient can read, in words."""
NO_GRADIENT = dict.fromkeys(TRAINING - {"class_weights"}, "no phase of this strategy's plan trains by gradient")


def unread_options(plan: Plan) -> dict[str, str]:
    """The options of a run that nothing in a plan reads -> why, in words."""
    phases = [place.phase for place in in_order(plan)]
    read = frozenset[str]().union(*(kind_of(phase).reads(phase) for phase in phases))
    trains = any(kind_of(phase).trains for phase in phases)
    reasons = UNREAD if trains else UNREAD | NO_GRADIENT
    unread = {key: reasons[key] for key in sorted(TRAINING - read)}
    named = {name for phase in phases for name in needs(phase)}
    if not kind_of(phases[-1]).refits:
        unread["refit"] = "val chooses among the epochs of the last phase, so that it cannot be trained on"
    sets = {"aux": "no second labelled set", "support": "no stream support", "query": "no stream query"}
    return unread | {key: f"this strategy's plan reads {what}" for key, what in sets.items() if key not in named}


def refuse_unread(job: Job, plan: Plan, examples: Input) -> None:
    """Refuse an option that was given, with another value than its default, and that neither the plan nor the input reads.

    Raises:
        UserError: there is one.
    """
    unread = unread_options(plan) | unread_by(examples)
    if job.head.labels == "number":
        unread |= dict.fromkeys(("label_smoothing", "class_weights"), "labels are numbers")
    if solves_only(plan):
        head = {"head", *(f"head_{key}" for key in job.head.model_dump())}
        unread |= dict.fromkeys(head, "the strategy fits its own head")
    changed = {*job.options.model_dump(exclude_defaults=True)}
    changed |= {f"head_{key}" for key in job.head.model_dump(exclude_defaults=True)}
    for key in job.given:
        if key in unread and key in changed:
            value = getattr(job.options, key, job.settings.get(key))
            raise UserError(f"has no effect, because {unread[key]}; leave it out", value, key)


def check_trains(phase: Phase, trained: int) -> None:
    """Check that something trains in a phase that trains by gradient.

    Args:
        trained: how many parameters of the backbone and of what was grafted train.

    Raises:
        PluginError: nothing does, or `only` leaves nothing of its live stages.
    """
    if isinstance(phase, Fit) and not (trained or phase.head_rate or phase.parts):
        raise PluginError(f"phase {phase.name}: nothing trains: its stages, its head and what was grafted are frozen")
    live = [name for name, rate in phase.rates.items() if rate > 0]
    if live and not trained and getattr(phase, "only", None) is not None:
        raise PluginError(f"phase {phase.name}: `only` lets no variable of its live stages ({a_few(live)}) train")


def check_labelling(plan: Plan, head: str, takes: str) -> None:
    """Check that a plan has no phase that needs one label an example, for a head that takes something else.

    Raises:
        UserError: it has; names the phase.
    """
    for phase in (place.phase for place in in_order(plan)):
        if what := kind_of(phase).one_label(phase) or _judged_by_class(phase):
            raise UserError(
                f"takes {takes}, but the strategy {what} in phase {phase.name}, "
                "which needs one label an example; choose another head or strategy",
                received=head,
                option="head",
            )


def _judged_by_class(phase: Phase) -> str:
    return "judges the target by its predicted classes" if by_target(phase.select) else ""
