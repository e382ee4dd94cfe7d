"""A YAML file of settings: its values, what is wrong with its keys; and values as the types of options want them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import yaml

from tlapp.errors import UserError

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
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:  # TypeError: a key that cannot be one in Python
        raise UserError(f"is not YAML: {' '.join(str(error).split())}", path, "config") from error
    if not all(isinstance(key, str) for key in values):
        raise UserError(_WANTED, path, "config")
    return Config({_option(key): value for key, value in values.items()}, mistakes)


_WANTED = "must hold a mapping of settings, such as `plugin: partial`"


class _Loader(yaml.SafeLoader):
    """YAML in which yes, no, on and off, and dates, are text, as they are on the command line."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rows if tag not in (f"{_TAG}bool", f"{_TAG}timestamp")]
    for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def _twice(root: yaml.MappingNode, path: str) -> Iterator[UserError]:
    """An error for each key that the file holds more than once."""
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for key, _ in root.value:
        if isinstance(key, yaml.ScalarNode):
            places[_option(key.value)].append((key.value, key.start_mark.line + 1))
    for option, found in places.items():
        if len(found) > 1:
            words = " and ".join(f"in line {line}{f' as {key}' if key != option else ''}" for key, line in found)
            error = UserError(f"stands more than once, {words}; keep one of them", option=option)
            error.origin = f"{path}: {option}"
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
        return tuple(value.split(","))
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
