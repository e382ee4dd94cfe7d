"""Settings: defaults < YAML < command line, into one complete set that knows where each value came from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tlapp import config as config_file
from tlapp import registry
from tlapp.contracts import Condition, Head, Options, Strategy
from tlapp.contracts.options import condition_of, is_path
from tlapp.defaults import defaults, input_kind, is_changed
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.folder import PLAN, SETTINGS, RunFolder
from tlapp.errors import PluginError, TlappError, UserError, all_of, each_of
from tlapp.words import did_you_mean, in_a_line

HEAD = "head_"
"""Before the name of each of a head's options, so that a head and a strategy cannot claim the same one."""

LATER = ("learning_rate",)
"""Options whose value may be "auto": it is found before training (tlapp.learning_rate)."""

COMMAND = ("config", "dry_run", "exports", "json", "as_json", "resume", "trust", "on", "help", "traceback", "output", "count")
"""Flags of `tlapp train` and `tlapp preview` that are no settings."""


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on.

    Attributes:
        origins: each key that was set -> the file that sets it, "" for an argument.
        later: options that are to be found before training; they have their defaults as yet.
    """

    options: RunOptions
    strategy: Strategy
    head: Head
    origins: Mapping[str, str]
    later: tuple[str, ...] = ()

    def flat(self) -> dict[str, Any]:
        """Every value by its key."""
        own = {HEAD + key: value for key, value in self.head.model_dump(mode="json").items()}
        return {**self.options.model_dump(mode="json"), **self.strategy.model_dump(mode="json"), **own}

    def repeatable(self) -> dict[str, Any]:
        """As `flat`, to be read again from any working folder: paths are absolute, and the run's own folder is left out."""
        values = self.flat()
        for options, prefix in ((self.options, ""), (self.strategy, ""), (self.head, HEAD)):
            for field, info in type(options).model_fields.items():
                if is_path(info):
                    values[prefix + field] = absolute(values[prefix + field])
        del values["run"]
        return values


@contextmanager
def files_named(origins: Mapping[str, str]) -> Iterator[None]:
    """Put the file that set an option in front of an error about that option: "run.yaml: last: 19"."""
    try:
        yield
    except UserError as error:
        for each in each_of(error):
            if not each.origin and each.option is not None and (file := origins.get(each.option)):
                each.origin = f"{file}: {each.option}{'' if each.received is None else f': {each.received}'}"
        raise


def absolute(value: Any) -> Any:
    """A path that exists, or a pattern of shards, made absolute; every other value, such as builtin:digits or none, as it is."""
    if not isinstance(value, str) or value == "none" or value.startswith("builtin:"):
        return value
    from tlapp.engine.inputs.shards.files import is_pattern  # its package imports Pillow, for which completing would wait

    return os.path.abspath(value) if os.path.exists(value) or is_pattern(value) else value


def _with_home(value: Any, field: FieldInfo) -> Any:
    """A path with the user's home folder in place of its `~`, which shells leave in quotes, and YAML and Python everywhere."""
    if not is_path(field) or not isinstance(value, (str, Path)):
        return value
    return type(value)(os.path.expanduser(value))


def plugin_options(kind: str, name: str) -> type[Any]:
    """The class of a strategy or head, its options checked.

    Raises:
        UserError, PluginError: as `registry.load`; or one of its options takes a name of the engine's.
    """
    found = registry.load(kind, name)
    if taken := collisions(kind, found.model_fields):
        raise PluginError(
            f"its option {taken[0]} is already an option of the engine; give it another name", registry.plugin_name(kind, name)
        )
    for key, condition in conditions(found).items():
        if unknown := next((other for other in condition.names() if other not in found.model_fields), None):
            raise PluginError(f"its option {key} counts by {unknown}, which it does not have", registry.plugin_name(kind, name))
    return found


def conditions(options: type[Options]) -> dict[str, Condition]:
    """The options of a class that do not always count, and when they do."""
    every = {key: condition_of(field) for key, field in options.model_fields.items()}
    return {key: condition for key, condition in every.items() if condition is not None}


def collisions(kind: str, options: Iterable[str]) -> list[str]:
    """Those of a plugin's options whose names are taken: by the engine's options, or by the flags of `tlapp train` itself."""
    prefix = HEAD if kind == "head" else ""
    taken = {*RunOptions.model_fields, *COMMAND}
    return [key for key in options if prefix + key in taken or (kind == "strategy" and key.startswith(HEAD))]


def resolve(arguments: Mapping[str, Any], config: str | Path | None = None, *, resume: bool = False) -> Settings:
    """Settings from arguments (key -> value; text is parsed) over a YAML file over the defaults.

    `resume`: they are those of a run that was begun, so that an option that does not count is let pass.

    Raises:
        UserError: a value or name that is wrong, with where it stands and what would be right; or an option that does not count.
        PluginError: the chosen plugin is broken.
    """
    config = os.path.expanduser(config) if config else None
    file = config_file.read(config) if config else config_file.Config({})
    values = {key: value for key, value in arguments.items() if value is not None}
    own = {key: value for key, value in file.values.items() if not (key == "run" and config and _is_of_a_run(Path(config)))}
    origins = {**dict.fromkeys(own, str(config)), **dict.fromkeys(values, "")}
    with files_named(origins):
        settings = _resolved({**own, **values}, origins, file.mistakes)
        if not resume:
            _check_counts(settings, {**own, **values})
        return settings


def _is_of_a_run(config: Path) -> bool:
    """Whether a file is the settings of the run in whose folder it lies; older ones hold that folder, which is taken."""
    return config.name == SETTINGS and RunFolder(config.parent).has(PLAN)


def _check_counts(settings: Settings, chosen: Mapping[str, Any]) -> None:
    """Refuse options that were given, with another value than their default, and that do not count."""
    faults = []
    for options, prefix in ((settings.options, ""), (settings.strategy, ""), (settings.head, HEAD)):
        for field, condition in conditions(type(options)).items():
            key = prefix + field
            if key in chosen and not condition.holds(options) and is_changed(options, field):
                now = condition.now(options, prefix)
                words = f"counts only when {condition.words(prefix)} (now {now}); leave it out"
                faults.append(UserError(words, chosen[key], key))
    if faults:
        raise all_of(faults)


def _resolved(chosen: Mapping[str, Any], origins: Mapping[str, str], mistakes: Sequence[UserError]) -> Settings:
    """The settings; all mistakes are told at once, after those of the file's keys."""
    faults, known = list(mistakes), _keys(RunOptions)
    later = tuple(key for key in LATER if chosen.get(key) == "auto")
    built: list[Any] = []
    classes: list[tuple[type[Any], str, str]] = [(RunOptions, "", "")]
    for kind, key, prefix in (("strategy", "plugin", ""), ("head", "head", HEAD)):
        name = str(chosen.get(key, RunOptions.model_fields[key].default))
        try:
            classes.append((plugin_options(kind, name), prefix, registry.plugin_name(kind, name)))
        except UserError as error:
            faults.append(error)
    for options, prefix, _ in classes:
        known |= _keys(options, prefix)
    if len(classes) == 3:  # else they may be those of the one that is not known
        faults += [_unknown(key, known, chosen) for key in chosen if key not in known]
    holds, given = input_kind(chosen), {key: chosen[key] for key in chosen if key not in later}
    for options, prefix, plugin_name in classes:
        try:
            built.append(_build(options, {**defaults(options, holds, prefix), **given}, origins, prefix, plugin_name))
        except UserError as error:
            faults += each_of(error)
    if faults:
        raise all_of(faults)
    return Settings(built[0], built[1], built[2], origins, later)


def _unknown(key: str, known: Iterable[str], chosen: Mapping[str, Any]) -> UserError:
    plugin, head = (chosen.get(each, RunOptions.model_fields[each].default) for each in ("plugin", "head"))
    hint = did_you_mean(key, known) or f"; strategy {plugin} and head {head} do not have it"
    return UserError(f"there is no such option{hint}", option=key)


def _keys(options: type[Options], prefix: str = "") -> dict[str, str]:
    return {prefix + field: field for field in options.model_fields}


def _build(
    options: type[Any], chosen: Mapping[str, Any], origins: Mapping[str, str], prefix: str = "", plugin_name: str = ""
) -> Any:
    chosen_fields = {field: chosen[key] for key, field in _keys(options, prefix).items() if key in chosen}
    fields = options.model_fields
    parsed = {field: config_file.parsed(value, fields[field].annotation) for field, value in chosen_fields.items()}
    values = {field: _with_home(value, fields[field]) for field, value in parsed.items()}
    try:
        return options(**values)
    except ValidationError as error:
        faults = [_refused(each, options, chosen, origins, prefix, plugin_name) for each in error.errors()]
        raise _all_of_field(faults) from error
    except TlappError:
        raise
    except Exception as error:  # a stranger's validator may raise anything
        raise PluginError(f"its options cannot be checked: {in_a_line(error)}", plugin_name) from error


def _all_of_field(faults: Sequence[TlappError]) -> TlappError:
    """The user's mistakes, one an option: pydantic tells of each type that a value might have had; else the plugin's."""
    own = {(fault.option or fault.args[0]): fault for fault in reversed(faults) if isinstance(fault, UserError)}
    return all_of([*own.values()][::-1]) if own else faults[0]


def _refused(
    fault: Mapping[str, Any],
    options: type[Any],
    chosen: Mapping[str, Any],
    origins: Mapping[str, str],
    prefix: str,
    plugin_name: str,
) -> TlappError:
    """The error to raise where pydantic refuses a value: the user's where it was given, else the plugin's."""
    wanted = fault["msg"].removeprefix("Input ").removeprefix("Value error, ")
    field = str(fault["loc"][0]) if fault["loc"] else ""
    key = prefix + field
    help = options.model_fields[field].description if field in options.model_fields else ""
    if fault["type"] == "missing":
        return UserError(f"{plugin_name} needs it: {help or field}", option=key)
    if key in origins:
        hint = (
            did_you_mean(str(chosen[key]), fault["ctx"]["expected"].split("'")[1::2]) if fault["type"] == "literal_error" else ""
        )
        received = "" if chosen[key] in (None, "") else f". Received: {chosen[key]}"
        return UserError(f"{help or field}; {wanted}{hint}{received}", chosen[key], option=key)
    if not field and (keys := [key for key in _keys(options, prefix) if key in origins]):
        named = ", ".join(f"{origins[key]}: {key}" if origins[key] else f"option {key}" for key in keys)
        return UserError(f"{named}: {wanted}")
    return PluginError(f"its own default{f' for {field}' if field else 's'} is refused by its own check: {wanted}", plugin_name)
