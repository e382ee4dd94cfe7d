"""Guards around what plugins bring: whatever their code raises becomes one sentence that names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import GeneratorType
from typing import Any, cast

from tlapp.contracts import Augment, BackboneProvider, Fit, Head, Labeller, OneOf, Phase, Plan, Solve, Strategy
from tlapp.errors import PluginError, TlappError
from tlapp.words import in_a_line


def blamed(error: Exception, label: str, what: str) -> Exception:
    """What to raise for an error that a plugin's code raised: a sentence that names it; the error where it is nobody's fault."""
    if isinstance(error, PluginError):
        return _through(error if _is_named(error, label) else _named(f"{label}: {error}"))
    if isinstance(error, TlappError):
        return _through(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's MemoryError
        return error
    return _through(_named(f"{label}: {what} failed: {in_a_line(error)}"))


def _named(sentence: str) -> PluginError:
    error: Any = PluginError(sentence)
    error.names_plugin = True
    return error


def _is_named(error: PluginError, label: str) -> bool:
    return hasattr(error, "names_plugin") or str(error).startswith(label)


def _through(error: Any) -> Any:
    """The error, marked so that TensorFlow's tracing passes it on as it is."""
    error.ag_pass_through = True
    return error


@contextmanager
def naming(label: str) -> Iterator[None]:
    """Put the plugin's name in front of a PluginError that the engine raised without knowing whose plan it was."""
    try:
        yield
    except PluginError as error:
        raise blamed(error, label, "") from error


def guarded(label: str, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its errors blamed on `label`; a generator is run to its end."""

    def inside(*args: Any, **kwargs: Any) -> Any:
        try:
            found = call(*args, **kwargs)
            return list(found) if isinstance(found, GeneratorType) else found
        except Exception as error:  # a stranger's code may raise anything; its name is what helps
            raise blamed(error, label, what) from error

    inside.__wrapped__ = call  # type: ignore[attr-defined]  # so that inspect sees its parameters, such as `copy`
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
        plan = guarded(self._label, "plan()", self._it.plan)(task, backbone)
        if not isinstance(plan, Plan) or not isinstance(plan.phases, tuple):
            return plan
        graft = plan.graft and guarded(self._label, "its graft", plan.graft)
        return Plan(tuple(guard_entry(entry, self._label) for entry in plan.phases), graft)


class GuardedHead(Guard):
    """A head whose layer is checked as well."""

    def __init__(self, head: Head, label: str):
        from tlapp.engine.data.labelling import unfit

        super().__init__(head, label, {"loss": "its loss"})
        self._label = label
        if fault := unfit(head):
            raise _named(f"{label}: {fault}")

    def build(self, features: Any, task: Any) -> Any:
        import keras

        layer = guarded(self._label, "build()", self._it.build)(features, task)
        if not isinstance(layer, keras.Layer):
            raise _named(f"{self._label}: build() must return a Keras layer. Received: {type(layer).__name__}")
        shape, wanted = tuple(guarded(self._label, "its layer", layer)(features).shape), (None, len(task.classes))
        if shape != wanted:
            raise _named(f"{self._label}: its layer must give (batch, classes), here {wanted}. Received: {shape}")
        return layer


def strategy(strategy: Strategy, label: str) -> Strategy:
    """A strategy that the engine can use without knowing whose it is."""
    return cast(Strategy, GuardedStrategy(strategy, label))


def head(head: Head, label: str) -> Head:
    """As `strategy`, of a head."""
    return cast(Head, GuardedHead(head, label))


def provider(provider: BackboneProvider, label: str) -> BackboneProvider:
    """As `strategy`, of a provider of backbones."""
    methods = ("names", "load", "native_size", "facts", "custom_layers")
    return cast(BackboneProvider, Guard(provider, label, {name: f"{name}()" for name in methods}))


def _guard_augment(augment: Augment, where: str) -> Augment:
    return replace(augment, apply=guarded(where, "its augment", augment.apply))


def _guard_labeller(labeller: Labeller, where: str) -> Labeller:
    call = guarded(where, "its labeller", labeller)

    def inside(features: Any, probabilities: Any) -> Any:
        found = call(features, probabilities)
        if fault := _misfit(found, probabilities.shape):
            raise _through(_named(f"{where}: its labeller {fault}"))
        return found

    return inside


def _misfit(found: Any, shape: tuple[int, int]) -> str:
    """What is wrong with what a labeller gave for probabilities of this shape, in words; "" where nothing is."""
    import numpy as np

    arrays = [np.asarray(each) for each in found] if isinstance(found, tuple) else []
    wanted = [shape, shape[:1]]
    if [each.shape for each in arrays] != wanted:
        received = [each.shape for each in arrays] or type(found).__name__
        return f"must give labels and weights as a tuple of arrays {wanted[0]} and {wanted[1]}. Received: {received}"
    if not all(np.isfinite(each).all() for each in arrays) or arrays[1].min() < 0 or not arrays[1].any():
        return "must give finite labels, and weights from 0 up that are not all 0"
    return ""


def guard_entry(entry: Phase | OneOf, label: str) -> Phase | OneOf:
    """A phase, or alternatives, whose functions are guarded."""
    if isinstance(entry, OneOf):
        return replace(entry, phases=tuple(guard_phase(phase, label) for phase in entry.phases))
    return guard_phase(entry, label)


def guard_phase(phase: Phase, label: str) -> Phase:
    """A phase whose functions are guarded."""
    where = f"{label}: phase {getattr(phase, 'name', '?')}"
    if isinstance(phase, Phase) and isinstance(phase.augment, Augment):
        phase = replace(phase, augment=_guard_augment(phase.augment, where))
    if isinstance(phase, Phase) and phase.augments:
        phase = replace(phase, augments=tuple(_guard_augment(augment, where) for augment in phase.augments))
    if isinstance(phase, Solve):
        return replace(phase, solver=guarded(where, "its solver", phase.solver))
    if not isinstance(phase, Fit):
        return phase
    return replace(
        phase,
        loss=phase.loss and guarded(where, "its loss", phase.loss),
        parts={name: guarded(where, f"its part {name}", part) for name, part in phase.parts.items()},
        labeller=phase.labeller and _guard_labeller(phase.labeller, where),
        sampler=phase.sampler and cast(Any, Guard(phase.sampler, where, {"batches": "its sampler"})),
    )
