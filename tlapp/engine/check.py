"""Check a plan before anything expensive starts."""

from __future__ import annotations

import math
from collections.abc import Collection

from tlapp.contracts import Backbone, Fit, Phase, Plan, Solve, Strategy, Task
from tlapp.errors import PluginError, UserError


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
        raise PluginError(f"{label}: plan() failed: {type(error).__name__}: {error}") from error
    if not isinstance(plan, Plan) or not plan.phases:
        raise PluginError(f"{label}: plan() must return a Plan with at least one phase. Received: {plan!r}")
    names = [phase.name for phase in plan.phases]
    for phase in plan.phases:
        where = f"{label}: phase {phase.name}"
        if names.count(phase.name) > 1:
            raise PluginError(f"{where} occurs {names.count(phase.name)} times; each needs a name of its own")
        _check_rates(phase, backbone, where)
        _check_streams(phase, task.streams, where)
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
    for name in phase.streams:
        if name not in streams:
            raise UserError(f"{where} needs pictures named {name}; give --{name} a folder or CSV")


def _check_numbers(phase: Phase, where: str) -> None:
    if isinstance(phase, Fit):
        if phase.epochs < 1:
            raise PluginError(f"{where}: epochs must be at least 1. Received: {phase.epochs}")
        if not (math.isfinite(phase.learning_rate) and phase.learning_rate > 0):
            raise PluginError(f"{where}: learning_rate must be above 0. Received: {phase.learning_rate}")
    elif isinstance(phase, Solve):
        if any(phase.rates.values()):
            raise PluginError(f"{where} solves in closed form, so that every rate must be 0")
    else:
        raise PluginError(f"{where} must be a Fit or a Solve. Received: {type(phase).__name__}")
