"""Settings: defaults < YAML < command line, into one complete set that knows where each value came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import ValidationError

from tlapp import registry
from tlapp.contracts import Condition, Head, Options, Strategy
from tlapp.contracts.options import condition_of
from tlapp.engine.options import RunOptions
from tlapp.errors import PluginError, TlappError, UserError
from tlapp.words import did_you_mean, in_a_line

HEAD = "head_"
"""Before the name of each of a head's options, so that a head and a strategy cannot claim the same one."""

COMMAND = ("config", "dry_run", "exports", "json", "as_json", "resume", "trust", "help", "traceback", "output", "count")
"""Flags of `tlapp train` and `tlapp preview` that are no settings."""


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on; `origins`: each key that was set -> the file that sets it, "" for an argument."""

    options: RunOptions
    strategy: Strategy
    head: Head
    origins: Mapping[str, str]

    def flat(self) -> dict[str, Any]:
        """Every value by its key, as settings.yaml holds them."""
        own = {HEAD + key: value for key, value in self.head.model_dump(mode="json").items()}
        return {**self.options.model_dump(mode="json"), **self.strategy.model_dump(mode="json"), **own}


@contextmanager
def files_named(origins: Mapping[str, str]) -> Iterator[None]:
    """Put the file that set an option in front of an error about that option: "run.yaml: last: 19"."""
    try:
        yield
    except UserError as error:
        if not error.origin and error.option is not None and (file := origins.get(error.option)):
            error.origin = f"{file}: {error.option}{'' if error.received is None else f': {error.received}'}"
        raise


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: no such file, not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path, "config") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"is not YAML: {' '.join(str(error).split())}", path, "config") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError("must hold a mapping of settings, such as `plugin: partial`", path, "config")
    return content


def plugin_options(kind: str, name: str) -> type[Any]:
    """The class of a strategy or head, its options checked.

    Raises:
        UserError, PluginError: as `registry.load`; or one of its options takes a name of the engine's.
    """
    found = registry.load(kind, name)
    if taken := collisions(kind, found.model_fields):
        raise PluginError(
            f"its option {taken[0]} is one of the engine's own; give it another name", registry.plugin_name(kind, name)
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
    chosen = read_yaml(config) if config else {}
    values = {key: value for key, value in arguments.items() if value is not None}
    origins = {**dict.fromkeys(chosen, str(config)), **dict.fromkeys(values, "")}
    with files_named(origins):
        settings = _resolved({**chosen, **values}, origins)
        if not resume:
            for options, prefix in ((settings.options, ""), (settings.strategy, ""), (settings.head, HEAD)):
                _check_counts(options, prefix, {**chosen, **values})
        return settings


def _check_counts(options: Options, prefix: str, chosen: Mapping[str, Any]) -> None:
    """Refuse an option that was given, with another value than its default, and that does not count."""
    for field, condition in conditions(type(options)).items():
        key = prefix + field
        if key in chosen and not condition.holds(options) and is_changed(options, field):
            now = condition.now(options, prefix)
            raise UserError(f"counts only when {condition.words(prefix)} (now {now}); leave it out", chosen[key], key)


def is_changed(options: Options, field: str) -> bool:
    """Whether an option has another value than its default."""
    return getattr(options, field) != type(options).model_fields[field].get_default(call_default_factory=True)


def _resolved(chosen: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    options = {key: chosen.get(key, RunOptions.model_fields[key].default) for key in ("plugin", "head")}
    strategy, head = plugin_options("strategy", str(options["plugin"])), plugin_options("head", str(options["head"]))
    known = {**_keys(RunOptions), **_keys(strategy), **_keys(head, HEAD)}
    if unknown := next((key for key in chosen if key not in known), None):
        hint = did_you_mean(unknown, known) or f"; strategy {options['plugin']} and head {options['head']} do not have it"
        raise UserError(f"there is no such option{hint}", option=unknown)
    plugin_names = {
        kind: registry.plugin_name(kind, str(options[key])) for kind, key in (("strategy", "plugin"), ("head", "head"))
    }
    return Settings(
        _build(RunOptions, chosen, origins),
        _build(strategy, chosen, origins, "", plugin_names["strategy"]),
        _build(head, chosen, origins, HEAD, plugin_names["head"]),
        origins,
    )


def _keys(options: type[Options], prefix: str = "") -> dict[str, str]:
    return {prefix + field: field for field in options.model_fields}


def _build(
    options: type[Any], chosen: Mapping[str, Any], origins: Mapping[str, str], prefix: str = "", plugin_name: str = ""
) -> Any:
    chosen_fields = {field: chosen[key] for key, field in _keys(options, prefix).items() if key in chosen}
    values = {field: _parsed(value, options.model_fields[field].annotation) for field, value in chosen_fields.items()}
    try:
        return options(**values)
    except ValidationError as error:
        raise _refused(error, options, chosen, origins, prefix, plugin_name) from error
    except TlappError:
        raise
    except Exception as error:  # a stranger's validator may raise anything
        raise PluginError(f"its options cannot be checked: {in_a_line(error)}", plugin_name) from error


def _refused(
    error: ValidationError,
    options: type[Any],
    chosen: Mapping[str, Any],
    origins: Mapping[str, str],
    prefix: str,
    plugin_name: str,
) -> TlappError:
    """The error to raise where pydantic refuses a value: the user's where it was given, else the plugin's."""
    first = error.errors()[0]
    wanted = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    field = str(first["loc"][0]) if first["loc"] else ""
    key = prefix + field
    help = options.model_fields[field].description if field in options.model_fields else ""
    if first["type"] == "missing":
        return UserError(f"{plugin_name} needs it: {help or field}", option=key)
    if key in origins:
        hint = (
            did_you_mean(str(chosen[key]), first["ctx"]["expected"].split("'")[1::2]) if first["type"] == "literal_error" else ""
        )
        return UserError(f"{help or field}; {wanted}{hint}. Received: {chosen[key]}", chosen[key], option=key)
    if not field and (keys := [key for key in _keys(options, prefix) if key in origins]):
        named = ", ".join(f"{origins[key]}: {key}" if origins[key] else f"option {key}" for key in keys)
        return UserError(f"{named}: {wanted}")
    return PluginError(f"its own default{f' for {field}' if field else 's'} is refused by its own check: {wanted}", plugin_name)


def _parsed(value: Any, annotation: Any) -> Any:
    """Text from the command line, "64,32" or "64", and a number are tuples where one is wanted; pydantic parses the rest."""
    if isinstance(value, str) and ("," in value or not _is_text(annotation)) and _is_tuple(annotation):
        return tuple(value.split(","))
    return (value,) if isinstance(value, (int, float)) and get_origin(annotation) is tuple else value


def _is_tuple(annotation: Any) -> bool:
    """Whether a field's annotation is a tuple or list, or may be one."""
    return get_origin(annotation) in (tuple, list) or any(_is_tuple(part) for part in get_args(annotation))


def _is_text(annotation: Any) -> bool:
    """Whether a text itself is a value of a field's annotation, such as `str | tuple[int, ...]`."""
    return annotation is str or (get_origin(annotation) not in (tuple, list) and any(map(_is_text, get_args(annotation))))
