"""Check a plan before anything expensive starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

from tlapp.contracts import Backbone, Fit, LoadedBackbone, Phase, Plan, Solve, Statistics, Strategy, Task
from tlapp.contracts.graph import is_nested, steps
from tlapp.errors import PluginError, UserError
from tlapp.words import in_a_line

BATCH_NORM = ("frozen", "affine", "update")
SELECT = ("val", "target")


def make_plan(strategy: Strategy, task: Task, backbone: Backbone, label: str) -> Plan:
    """The strategy's plan, checked.

    Args:
        label: the strategy's name, distribution and version, for errors.

    Raises:
        UserError: the options do not fit the backbone or the data.
        PluginError: the plan breaks the contract.
    """
    try:
        plan = strategy.plan(task, backbone)
    except (UserError, PluginError):
        raise
    except Exception as error:  # a stranger's code may raise anything; its name is what helps
        raise PluginError(f"{label}: plan() failed: {in_a_line(error)}") from error
    if not isinstance(plan, Plan) or not plan.phases:
        raise PluginError(f"{label}: plan() must return a Plan with at least one phase. Received: {plan!r}")
    if bad := next((phase for phase in plan.phases if not isinstance(phase, (Fit, Solve, Statistics))), None):
        raise PluginError(f"{label}: a plan's phases must each be a Fit, a Solve or a Statistics. Received: {bad!r}")
    names = [phase.name for phase in plan.phases]
    for phase in plan.phases:
        where = f"{label}: phase {phase.name}"
        if names.count(phase.name) > 1:
            raise PluginError(f"{where} occurs {names.count(phase.name)} times; each needs a name of its own")
        _check_rates(phase, backbone, where)
        _check_streams(phase, task.streams, where)
        _check_selection(phase, where)
        _check_numbers(phase, where)
    return plan


def _check_rates(phase: Phase, backbone: Backbone, where: str) -> None:
    stages = [stage.name for stage in backbone.stages]
    if missing := [name for name in stages if name not in phase.rates]:
        raise PluginError(f"{where} gives no rate for stage {', '.join(missing)} of {backbone.name}; use 0.0 to freeze it")
    if extra := [name for name in phase.rates if name not in stages]:
        raise PluginError(f"{where} gives a rate for {', '.join(extra)}, but {backbone.name} has the stages {', '.join(stages)}")
    for name, value in phase.rates.items():
        if not (math.isfinite(value) and value >= 0):
            raise PluginError(f"{where}: the rate of stage {name} must be a finite number from 0 up. Received: {value}")


def _check_streams(phase: Phase, streams: Collection[str], where: str) -> None:
    for name in needs(phase):
        if name not in streams:
            raise UserError(f"{where} needs pictures named {name}; give option {name} a folder or CSV")


def _check_selection(phase: Phase, where: str) -> None:
    if phase.select not in SELECT:
        raise PluginError(f"{where}: select must be one of {', '.join(SELECT)}. Received: {phase.select}")
    if phase.alternative and phase.select != "target":
        raise PluginError(f'{where}: an alternative needs select="target", which tells which of them is best')
    for augment in (*phase.augments, *([phase.augment] if phase.augment else [])):
        if augment.per_step < 1 or augment.per_step > (augment.views or augment.per_step):
            raise PluginError(f"{where}: per_step must be from 1 to views, here {augment.views}. Received: {augment.per_step}")


def needs(phase: Phase) -> list[str]:
    """The streams that a phase reads, its own ones and those that it is compared with."""
    labelled = isinstance(phase, Fit) and phase.labeller is not None
    augments = (*phase.augments, *([phase.augment] if phase.augment else []))
    compared = ["target"] if phase.select == "target" or phase.augments or labelled else []
    return list(dict.fromkeys([*phase.streams, *compared, *(a.reference for a in augments if a.reference)]))


def _check_numbers(phase: Phase, where: str) -> None:
    if isinstance(phase, Fit):
        if phase.epochs < 1:
            raise PluginError(f"{where}: epochs must be at least 1. Received: {phase.epochs}")
        if not (math.isfinite(phase.learning_rate) and phase.learning_rate > 0):
            raise PluginError(f"{where}: learning_rate must be above 0. Received: {phase.learning_rate}")
        if phase.batch_norm not in BATCH_NORM:
            raise PluginError(f"{where}: batch_norm must be one of {', '.join(BATCH_NORM)}. Received: {phase.batch_norm}")
    elif isinstance(phase, Solve) and any(phase.rates.values()):
        raise PluginError(f"{where} solves in closed form, so that every rate must be 0")


def check_labelling(plan: Plan, head: str, label: str) -> None:
    """Check that a plan has no phase that needs one label a picture, for a head that takes several.

    Raises:
        UserError: it has; names the phase.
    """
    for phase in plan.phases:
        if what := _one_label_only(phase):
            raise UserError(
                f"takes several labels a picture, but {label} {what} in phase {phase.name}, "
                "which takes one label a picture; choose another head or strategy",
                received=head,
                option="head",
            )


def _one_label_only(phase: Phase) -> str:
    """What a phase does that takes one label a picture, in words; "" where it does nothing of the kind."""
    if isinstance(phase, Solve):
        return "solves for a head"
    if phase.select == "target":
        return "judges the target by the class that it is said to be"
    if isinstance(phase, Fit) and phase.labeller is not None:
        return "labels the target with one class a picture"
    return "draws pictures by class" if isinstance(phase, Fit) and phase.sampler is not None else ""


def check_graft(graph: Any, backbone: LoadedBackbone, label: str) -> None:
    """Check that a grafted graph is one that can be cut, frozen and deployed.

    Raises:
        PluginError: it is not; says how.
    """
    if fault := _graft_fault(graph, backbone):
        raise PluginError(f"{label}: its graft breaks the graph: {fault}")


def check_deploys(model: Callable[[], Any], label: str) -> None:
    """Check that the deployed model of a grafted graph can be built.

    Raises:
        PluginError: it cannot; says why.
    """
    try:
        model()
    except Exception as error:  # Keras raises what it likes
        raise PluginError(f"{label}: its graft breaks the graph: no model can be built of it: {in_a_line(error)}") from error


def _graft_fault(graph: Any, backbone: LoadedBackbone) -> str:
    if not hasattr(graph, "_nodes_by_depth"):
        return f"it must return a functional keras.Model. Received: {type(graph).__name__}"
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or len(graph.outputs[0].shape) != 2:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in graph.outputs)
        return f"it must map one input to one output, (batch, features). Received: {len(graph.inputs)} input(s), {shapes}"
    wanted = tuple(backbone.graph.inputs[0].shape)
    if tuple(graph.inputs[0].shape) != wanted:
        return f"its input must be the backbone's, {wanted}. Received: {tuple(graph.inputs[0].shape)}"
    own = {id(layer): layer for layer in backbone.graph.layers}
    for step in steps(graph):
        name = step.operation.name
        if is_nested(step.operation) and any(layer.name in backbone.stage_of for layer in step.operation.layers):
            return f"it nests the backbone's layers in {name}; build on their tensors (contracts.graph.rebuild) to keep them flat"
        if name in backbone.stage_of and id(step.operation) not in own:
            return f"its layer {name} has the name of a backbone's layer but is another one; give it a name of its own"
    return ""
