"""The values that options are searched over: those that they declare, or that are given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from tlapp.contracts.options import defaults_by_input, plain
from tlapp.defaults import input_kind
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError
from tlapp.settings import HEAD, Settings, resolve

DECADES = 2
"""An option above 0 is searched so many powers of ten either side of its default."""


class Range(NamedTuple):
    """The values that an option is searched over: choices, or from `low` to `high`."""

    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False

    def distribution(self) -> Any:
        """As Optuna has it."""
        from optuna import distributions

        if self.choices:
            return distributions.CategoricalDistribution(self.choices)
        if self.whole:
            return distributions.IntDistribution(int(self.low), int(self.high), log=self.log)
        return distributions.FloatDistribution(self.low, self.high, log=self.log)

    def among(self, value: Any) -> Any:
        """A value as the range has it; None where it does not."""
        if self.choices:
            return next((choice for choice in self.choices if str(choice) == str(value)), None)
        return value if value is not None and self.low <= value <= self.high else None


def ranges(over: Sequence[str], settings: Settings) -> dict[str, Range]:
    """What options are searched over, by their names, or NAME=LOW..HIGH or NAME=A|B|C.

    Raises:
        UserError: there is no such option, or it has no range and none is given.
    """
    fields = {**RunOptions.model_fields, **type(settings.strategy).model_fields}
    fields |= {HEAD + name: field for name, field in type(settings.head).model_fields.items()}
    found, kind = {}, input_kind({"data": settings.options.data})
    for word in over:
        name, equals, values = word.partition("=")
        key = name.strip().replace("-", "_")
        if key not in fields:
            resolve({**settings.flat(), key: 0})  # says so
            raise UserError("cannot be searched", key, option="over")
        found[key] = _given(key, values, fields[key]) if equals else declared(key, fields[key], kind)
    if not found:
        raise UserError("names no option to search, such as --over learning_rate", option="over")
    return found


def declared(key: str, field: FieldInfo, holds: str | None = None) -> Range:
    """The range that an option itself has: its choices; its bounds; or, of one above 0, about its default.

    Args:
        holds: the kind of examples that the data hold; None for any.

    Raises:
        UserError: it has none.
    """
    kind, default = plain(field.annotation), field.get_default(call_default_factory=True)
    default = defaults_by_input(field).get(holds or "", default)
    if kind is bool:
        return Range((False, True))
    if get_origin(kind) is Literal:
        return Range(get_args(kind))
    bounds = {name: getattr(item, name) for item in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(item, name)}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if kind is float and low == 0 and "gt" in bounds and default:
        factor = 10.0**DECADES
        return Range(low=default / factor, high=min(default * factor, high or math.inf), log=True)
    if kind not in (int, float) or low is None or high is None:
        raise UserError(f"has no range to search; give it one: {key}=LOW..HIGH, or {key}=A|B|C", key, option="over")
    edge = 1 if kind is int else (high - low) / 1000
    return Range(low=low + edge * ("gt" in bounds), high=high - edge * ("lt" in bounds), whole=kind is int)


def _given(key: str, values: str, field: FieldInfo) -> Range:
    kind = plain(field.annotation)
    low, dots, high = values.partition("..")
    if not dots:
        return Range(tuple(part.strip() for part in values.split("|")))
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = 1.0, 0.0
    if kind not in (int, float) or not ends[0] < ends[1] or (kind is int and not (ends[0].is_integer() and ends[1].is_integer())):
        raise UserError(f"expected {key}=LOW..HIGH with two numbers, or {key}=A|B|C", values, option="over")
    return Range(low=ends[0], high=ends[1], whole=kind is int, log=kind is float and 0 < ends[0] <= ends[1] / 100)
