"""A YAML file of settings: its values, what is wrong with its keys; and values as the types of options want them."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import yaml

from tlapp.errors import UserError
from tlapp.words import shortened

_TAG = "tag:yaml.org,2002:"


class Config(NamedTuple):
    """The settings in a file by their keys, hyphens as underscores, and the mistakes in its keys."""

    values: dict[str, Any]
    mistakes: tuple[UserError, ...] = ()


def read(path: str | Path) -> Config:
    """Read a YAML file of settings.

    Raises:
        UserError: no such file, not YAML, or not a mapping.
    """
    path = os.path.expanduser(path)
    try:
        loader = _Loader(Path(path).read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if root is None or root.tag == f"{_TAG}null":
            return Config({})
        if not isinstance(root, yaml.MappingNode):
            raise UserError(_WANTED, path, "config")
        mistakes = tuple(_twice(root, str(path)))
        loader.flatten_mapping(root)  # what a key << brings comes first
        values = {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in root.value}
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path, "config") from error
    except RecursionError:
        raise UserError("is nested too deeply; settings are one mapping, such as `plugin: partial`", path, "config") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:  # a !!tag that does not fit its value
        raise UserError(f"is not YAML: {' '.join(str(error).split())}", path, "config") from error
    if not all(isinstance(key, str) for key in values):
        raise UserError(_WANTED, path, "config")
    return Config({_option(key): value for key, value in values.items()}, mistakes)


_WANTED = "must hold a mapping of settings, such as `plugin: partial`"


class _Loader(yaml.SafeLoader):
    """YAML in which yes, no, on and off, dates, and numbers to base 60, are text, as they are on the command line."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number; Python refuses to read or to write one of thousands of digits."""
        try:
            value = super().construct_yaml_int(node)
            str(value)
        except ValueError:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"{shortened(node.value)} in line {line} is no number that can be read") from None
        return value


def _no_base_60(tag: str, pattern: re.Pattern[str]) -> re.Pattern[str]:
    """The pattern of a number without 1:30, which YAML 1.1 takes for 90; every other pattern as it is."""
    return re.compile(f"(?!.*:){pattern.pattern}", pattern.flags) if tag in (f"{_TAG}int", f"{_TAG}float") else pattern


_Loader.add_constructor(f"{_TAG}int", _Loader.construct_yaml_int)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, _no_base_60(tag, pattern)) for tag, pattern in rows if tag not in (f"{_TAG}bool", f"{_TAG}timestamp")]
    for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def _twice(root: yaml.MappingNode, path: str) -> Iterator[UserError]:
    """An error for each key that the file, or one of its values, holds more than once."""
    yield from _twice_in(root, path, "")
    for key, value in root.value:
        for inner in _mappings(value) if isinstance(key, yaml.ScalarNode) else ():
            yield from _twice_in(inner, path, _option(key.value))


def _mappings(node: yaml.Node) -> list[yaml.MappingNode]:
    """The mappings in a value, each once, however its aliases go round."""
    found, seen = [node], {id(node)}
    for each in found:
        parts = each.value if isinstance(each, yaml.CollectionNode) else ()
        for part in (part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,))):
            if id(part) not in seen:
                found.append(part)
                seen.add(id(part))
    return [each for each in found if isinstance(each, yaml.MappingNode)]


def _twice_in(mapping: yaml.MappingNode, path: str, owner: str) -> Iterator[UserError]:
    """An error for each key of a mapping that it holds more than once; `owner`: the key whose value the mapping is in, or ""."""
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for key, _ in mapping.value:
        if isinstance(key, yaml.ScalarNode):
            places[key.value if owner else _option(key.value)].append((key.value, key.start_mark.line + 1))
    for option, found in places.items():
        if len(found) > 1:
            words = " and ".join(f"in line {line}{f' as {key}' if key != option else ''}" for key, line in found)
            error = UserError(f"appears more than once, {words}; keep one of them", option=owner or option)
            error.origin = f"{path}: {f'{owner}: ' if owner else ''}{option}"
            yield error


def _option(key: str) -> str:
    return key.replace("-", "_")


def parsed(value: Any, annotation: Any) -> Any:
    """Text from the command line, "64,32" or "64", and a number are tuples where one is wanted; pydantic parses the rest."""
    if isinstance(value, bool) and not _takes_bool(annotation):
        return str(value).lower()  # which is no number; pydantic takes true for 1
    if isinstance(value, list):
        return [each if not isinstance(each, bool) or _takes_bool(annotation) else str(each).lower() for each in value]
    if isinstance(value, str) and ("," in value or not _is_text(annotation)) and _is_tuple(annotation):
        return tuple(value.split(",")) if value else ()
    return (value,) if isinstance(value, (int, float)) and get_origin(annotation) is tuple else value


def _takes_bool(annotation: Any) -> bool:
    """Whether a field may be true or false, or anything."""
    return annotation in (bool, Any, True, False) or any(map(_takes_bool, get_args(annotation)))


def _is_tuple(annotation: Any) -> bool:
    """Whether a field's annotation is a tuple or list, or may be one."""
    return get_origin(annotation) in (tuple, list) or any(_is_tuple(part) for part in get_args(annotation))


def _is_text(annotation: Any) -> bool:
    """Whether a text itself is a value of a field's annotation, such as `str | tuple[int, ...]`."""
    return annotation is str or (get_origin(annotation) not in (tuple, list) and any(map(_is_text, get_args(annotation))))
