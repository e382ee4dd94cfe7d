"""Options: a pydantic field is the flag, the YAML key, the constructor argument, the help line and the check."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pydantic
from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tlapp.errors import UserError


class Options(BaseModel):
    """A frozen set of named, checked values. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Values:
    """Some of the values that an option may have: those that `holds` says are among them, which is what `words` says."""

    words: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Condition:
    """When an option counts: one alternative must hold, in which each option has one of the listed values."""

    alternatives: tuple[dict[str, Values], ...]

    def holds(self, options: Options) -> bool:
        """Whether it holds for these options."""
        return any(all(values.holds(getattr(options, name)) for name, values in each.items()) for each in self.alternatives)

    def names(self) -> tuple[str, ...]:
        """The options that it asks for."""
        return tuple(dict.fromkeys(name for each in self.alternatives for name in each))

    def words(self, prefix: str = "") -> str:
        """As a piece of a sentence, `prefix` before the options' names: "option method is dann or cdan"."""
        return ", or ".join(
            " and ".join(f"option {prefix}{name} is {values.words}" for name, values in each.items())
            for each in self.alternatives
        )

    def now(self, options: Options, prefix: str = "") -> str:
        """The values that the options have: "mcc", or with their names where it asks for several."""
        values = {name: getattr(options, name) for name in self.names()}
        if len(values) == 1:
            return _words(next(iter(values.values())))
        return ", ".join(
            f"option {prefix}{name} not set" if value is None else f"option {prefix}{name}={_words(value)}"
            for name, value in values.items()
        )


def when(**options: Any) -> Condition:
    """The condition that each of these options has its value, or one of a tuple of values; None is "not set".

    `above` and `other_than` make values that cannot be listed.
    """
    return Condition(({name: value if isinstance(value, Values) else _listed(value) for name, value in options.items()},))


def above(limit: float) -> Values:
    """For `when`: every number above one, as in `when(last=above(0))`."""
    return Values(f"above {limit}", lambda value: value is not None and value > limit)


def other_than(*values: Any) -> Values:
    """For `when`: every value but these, as in `when(style=other_than("none"))`."""
    words = "set" if values == (None,) else f"not {_or([_words(each) for each in values])}"
    return Values(words, lambda value: value not in values)


def Field(
    default: Any = PydanticUndefined,
    *,
    when: Condition | tuple[Condition, ...] | None = None,
    path: bool = False,
    by_input: Mapping[str, Any] | None = None,
    **constraints: Any,
) -> Any:
    """An option: pydantic's `Field(default, ge=..., le=..., gt=..., lt=..., description=...)`, and when the option counts.

    `when`: a condition, or a tuple of which one must hold; None: always. The help shows it, and a value other than its default is
    refused when the option does not count.
    `path`: its text names a file or folder of the user's: the shell completes it, and settings.yaml holds it absolute. A field of
    type `pathlib.Path` does so by itself.
    `by_input`: kind of input, such as "text" -> the default for it where the data are of that kind.
    """
    extra: dict[str, Any] = {_PATH: True} if path else {}
    if when is not None:
        conditions = when if isinstance(when, tuple) else (when,)
        extra[_WHEN] = Condition(tuple(each for one in conditions for each in one.alternatives))
    if by_input:
        extra[_BY_INPUT] = dict(by_input)
    if extra:
        constraints["json_schema_extra"] = {**(constraints.get("json_schema_extra") or {}), **extra}
    return pydantic.Field(default, **constraints)


_WHEN, _PATH, _BY_INPUT = "when", "path", "by_input"


def defaults_by_input(field: FieldInfo) -> Mapping[str, Any]:
    """Kind of input -> the default of an option for it, where it has one of its own."""
    extra = field.json_schema_extra
    return extra.get(_BY_INPUT, {}) if isinstance(extra, dict) else {}  # type: ignore[return-value]


def condition_of(field: FieldInfo) -> Condition | None:
    """When an option counts; None where it always does."""
    extra = field.json_schema_extra
    condition = extra.get(_WHEN) if isinstance(extra, dict) else None
    return condition if isinstance(condition, Condition) else None


def plain(annotation: Any) -> Any:
    """The annotation without its None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def is_path(field: FieldInfo) -> bool:
    """Whether an option names a file or folder of the user's."""
    extra = field.json_schema_extra
    return (isinstance(extra, dict) and bool(extra.get(_PATH))) or Path in (field.annotation, *get_args(field.annotation))


def _listed(value: Any) -> Values:
    values = value if isinstance(value, tuple) else (value,)
    return Values(_or([_words(each) for each in values]), lambda value: value in values)


def _words(value: Any) -> str:
    return "not set" if value is None else str(value)


def _or(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def duration(text: str, option: str) -> float:
    """Seconds of a time such as 90s, 5m or 2h.

    Args:
        option: its name, for the error.

    Raises:
        UserError: it is no time, or none at all.
    """
    if not (match := re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())) or float(match[1]) == 0:
        raise UserError("expected a time such as 90s, 5m or 2h", text, option=option)
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
