"""The boundary around plugins: whatever their code raises becomes one sentence that names the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from types import GeneratorType
from typing import Any, cast

from tlapp.contracts import BackboneProvider, Head, OneOf, Plan, Strategy, Teachable, Weighted
from tlapp.errors import PluginError, TlappError, UserError
from tlapp.words import in_a_line

DURING_A_RUN = ("its ", "phase ")
"""How what is blamed begins where it is no call that the user asked for, so that a UserError without an option needs a name."""


@contextmanager
def naming(plugin_name: str) -> Iterator[None]:
    """Name the plugin in a PluginError that nobody has named one in, such as the engine's about a plan."""
    try:
        yield
    except PluginError as error:
        error.plugin_name = error.plugin_name or plugin_name
        raise


def blamed(error: BaseException, plugin_name: str, what: str) -> BaseException:
    """The error to raise for one that a plugin's code raised; the same error where it says enough or is nobody's fault."""
    if isinstance(error, UserError) and what.startswith(DURING_A_RUN):
        error.plugin_name = error.plugin_name or plugin_name
    if isinstance(error, TlappError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's MemoryError
        return error
    return PluginError(f"{what} failed: {in_a_line(error)}", plugin_name)


def guarded(plugin_name: str, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its errors blamed on `plugin_name`; a generator is run to its end."""

    def inside(*args: Any, **kwargs: Any) -> Any:
        with naming(plugin_name):
            try:
                result = call(*args, **kwargs)
                return list(result) if isinstance(result, GeneratorType) else result
            except (Exception, SystemExit) as error:  # a stranger's code may raise anything; its name is what helps
                blame = blamed(error, plugin_name, what)
                if blame is error:
                    raise
                raise blame from error

    inside.__wrapped__ = call  # type: ignore[attr-defined]  # so that inspect sees its parameters, such as `copy`
    return inside


class Guard:
    """An object some of whose methods are guarded; everything else is its own."""

    def __init__(self, plugin: Any, plugin_name: str, methods: Mapping[str, str]):
        self._plugin = plugin
        for name, what in methods.items():
            if hasattr(plugin, name):
                setattr(self, name, guarded(plugin_name, what, getattr(plugin, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plugin, name)


class GuardedStrategy(Guard):
    """A strategy whose plan's functions are guarded."""

    def __init__(self, strategy: Strategy, plugin_name: str):
        super().__init__(strategy, plugin_name, {})
        self._plugin_name = plugin_name

    def plan(self, task: Any, backbone: Any) -> Any:
        plan = guarded(self._plugin_name, "plan()", self._plugin.plan)(task, backbone)
        if not isinstance(plan, Plan) or not isinstance(plan.phases, tuple):
            return plan
        changes = {"graft": plan.graft, "finish": plan.finish}
        guards = {name: guarded(self._plugin_name, f"its {name}", call) for name, call in changes.items() if callable(call)}
        return plan._replace(phases=tuple(guard_entry(entry, self._plugin_name) for entry in plan.phases), **guards)


class GuardedHead(Guard):
    """A head whose layer is checked as well."""

    def __init__(self, head: Head, plugin_name: str):
        from tlapp.engine.data.labelling import unfit

        super().__init__(head, plugin_name, {"loss": "its loss"})
        self._plugin_name = plugin_name
        if fault := unfit(head):
            raise PluginError(fault, plugin_name)

    def build(self, features: Any, task: Any) -> Any:
        import keras

        layer = guarded(self._plugin_name, "build()", self._plugin.build)(features, task)
        if not isinstance(layer, keras.Layer):
            raise PluginError(f"build() must return a Keras layer. Received: {type(layer).__name__}", self._plugin_name)
        shape, wanted = tuple(guarded(self._plugin_name, "its layer", layer)(features).shape), (None, len(task.classes))
        if shape != wanted:
            raise PluginError(f"its layer must give (batch, classes), here {wanted}. Received: {shape}", self._plugin_name)
        return layer


def strategy(strategy: Strategy, plugin_name: str) -> Strategy:
    """A strategy that the engine can use without knowing whose it is."""
    return cast(Strategy, GuardedStrategy(strategy, plugin_name))


def head(head: Head, plugin_name: str) -> Head:
    """As `strategy`, of a head."""
    return cast(Head, GuardedHead(head, plugin_name))


def provider(provider: BackboneProvider, plugin_name: str) -> BackboneProvider:
    """As `strategy`, of a provider of backbones."""
    methods = ("names", "load", "native_size", "facts", "card", "absolute", "custom_layers")
    return cast(BackboneProvider, Guard(provider, plugin_name, {name: f"{name}()" for name in methods}))


def guard_entry(entry: Any, plugin_name: str) -> Any:
    """An entry of a plan, the functions in its fields guarded; alternatives are entries of their own."""
    if isinstance(entry, OneOf) and isinstance(entry.phases, (tuple, list)):
        phases = tuple(guard_entry(phase, plugin_name) for phase in entry.phases)
        return replace(_guard_fields(replace(entry, phases=()), plugin_name, "its"), phases=phases)
    name = getattr(entry, "name", "")
    return _guard_fields(entry, plugin_name, f"phase {name}: its" if name else "its") if _is_record(entry) else entry


def _guard_fields(record: Any, plugin_name: str, owner: str, noun: str = "") -> Any:
    """An object of a dataclass whose fields' functions are guarded; errors call each by `noun`, or by its field's name."""
    changes = {}
    for field in fields(record):
        value = getattr(record, field.name)
        guard = _guard_value(value, plugin_name, owner, noun or field.name)
        if guard is not value:
            changes[field.name] = guard
    return replace(record, **changes) if changes else record


def _guard_value(value: Any, plugin_name: str, owner: str, noun: str) -> Any:
    """A field's value, guarded if it is a function or holds some; else the same object."""
    if hasattr(value, "batches"):
        return Guard(value, plugin_name, {"batches": f"{owner} {noun}"})
    if callable(value):
        guard = guarded(plugin_name, f"{owner} {noun}", value)
        methods = ("learn", "layer", "few", "on_device") if isinstance(value, Teachable) else ()
        for name in (*methods, "rows"):
            if hasattr(value, name):
                setattr(guard, name, guarded(plugin_name, f"{owner} {noun}", getattr(value, name)))
        if isinstance(value, Weighted):
            weighted = guarded(plugin_name, f"{owner} {noun}", value.weighted)
            guard.weighted = lambda weights: _guard_value(weighted(weights), plugin_name, owner, noun)  # type: ignore[attr-defined]
        return guard
    if _is_record(value):
        return _guard_fields(value, plugin_name, owner, noun)
    singular = noun.removesuffix("s")
    if isinstance(value, Mapping) and any(callable(each) or _is_record(each) for each in value.values()):
        return {name: _guard_value(each, plugin_name, owner, f"{singular} {name}") for name, each in value.items()}
    if isinstance(value, tuple) and any(map(_is_record, value)):
        return tuple(_guard_value(each, plugin_name, owner, singular) for each in value)
    return value


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)
