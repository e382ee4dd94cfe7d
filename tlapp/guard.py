"""Guards around what plugins bring: whatever their code raises becomes one sentence that names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from tlapp.contracts import Augment, BackboneProvider, Fit, Head, Phase, Plan, Solve, Strategy
from tlapp.errors import PluginError, TlappError, in_a_line


@contextmanager
def blame(label: str, what: str) -> Iterator[None]:
    """Turn any error raised inside into a PluginError: "LABEL: WHAT failed: ..."; sentences of tlapp's own pass, named."""
    try:
        yield
    except PluginError as error:
        raise _named(error, label) from error.__cause__
    except TlappError as error:
        raise _through(error) from error.__cause__
    except MemoryError:
        raise
    except Exception as error:  # a stranger's code may raise anything; its name is what helps
        if type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's word for MemoryError
            raise
        raise _named(PluginError(f"{what} failed: {in_a_line(error)}"), label) from error


def _named(error: PluginError, label: str) -> PluginError:
    """The error with the plugin's name in front, once."""
    if hasattr(error, "plugin") or str(error).startswith(label):
        return _through(error)
    named = PluginError(f"{label}: {error}")
    named.plugin = label  # type: ignore[attr-defined]
    return _through(named)


def _through(error: Any) -> Any:
    """The error, marked so that TensorFlow's tracing passes it on as it is."""
    error.ag_pass_through = True
    return error


def guarded(label: str, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its errors blamed on `label`."""

    def inside(*args: Any, **kwargs: Any) -> Any:
        with blame(label, what):
            return call(*args, **kwargs)

    return inside


class Guard:
    """An object some of whose methods are guarded; everything else is its own."""

    def __init__(self, it: Any, label: str, methods: Mapping[str, str]):
        self._it = it
        for name, what in methods.items():
            if hasattr(it, name):
                setattr(self, name, guarded(label, what, getattr(it, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._it, name)


class GuardedStrategy(Guard):
    """A strategy whose plan's functions are guarded."""

    def __init__(self, strategy: Strategy, label: str):
        super().__init__(strategy, label, {})
        self._label = label

    def plan(self, task: Any, backbone: Any) -> Any:
        with blame(self._label, "plan()"):
            plan = self._it.plan(task, backbone)
        if not isinstance(plan, Plan) or not isinstance(plan.phases, tuple):
            return plan
        graft = plan.graft and guarded(self._label, "its graft", plan.graft)
        return Plan(tuple(guard_phase(phase, self._label) for phase in plan.phases), graft)


def strategy(strategy: Strategy, label: str) -> Strategy:
    """A strategy that the engine can use without knowing whose it is."""
    return cast(Strategy, GuardedStrategy(strategy, label))


def head(head: Head, label: str) -> Head:
    """As `strategy`, of a head."""
    return cast(Head, Guard(head, label, {"build": "build()", "loss": "its loss"}))


def provider(provider: BackboneProvider, label: str) -> BackboneProvider:
    """As `strategy`, of a provider of backbones."""
    methods = ("names", "load", "native_size", "custom_layers")
    return cast(BackboneProvider, Guard(provider, label, {name: f"{name}()" for name in methods}))


def guard_phase(phase: Phase, label: str) -> Phase:
    """A phase whose functions are guarded."""
    where = f"{label}: phase {getattr(phase, 'name', '?')}"
    if isinstance(phase, Phase) and isinstance(phase.augment, Augment):
        phase = replace(phase, augment=replace(phase.augment, apply=guarded(where, "its augment", phase.augment.apply)))
    if isinstance(phase, Solve):
        return replace(phase, solver=guarded(where, "its solver", phase.solver))
    if not isinstance(phase, Fit):
        return phase
    return replace(
        phase,
        loss=phase.loss and guarded(where, "its loss", phase.loss),
        parts={name: guarded(where, f"its part {name}", part) for name, part in phase.parts.items()},
        sampler=phase.sampler and cast(Any, Guard(phase.sampler, where, {"batches": "its sampler"})),
    )
