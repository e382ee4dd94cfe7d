"""What each field of a phase must be, in one table: a value of another type ends in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, NamedTuple

from tlapp.contracts import Augment, Guide
from tlapp.words import shortened


class Rule(NamedTuple):
    """A test of a field's value, and what it must be, in words."""

    holds: Callable[[Any], bool]
    words: str


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value == value.strip() != "" and value.isprintable()


def _tuple_of(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, tuple) and all(map(test, value))


def _or_none(rule: Rule) -> Rule:
    return Rule(lambda value: value is None or rule.holds(value), f"{rule.words}, or None")


_NUMBER, _WHOLE, _FUNCTION = Rule(_is_number, "a number"), Rule(_is_whole, "a whole number"), Rule(callable, "a function")
_AUGMENT = Rule(lambda value: isinstance(value, Augment), "an Augment")

PHASE = {
    "name": Rule(_is_name, "a word"),
    "rates": Rule(lambda value: isinstance(value, Mapping) and all(map(_is_number, value.values())), "a dict of stage to number"),
    "streams": Rule(lambda value: _tuple_of(_is_name)(value) and bool(value), 'a tuple of names, such as ("train",)'),
    "augment": _or_none(_AUGMENT),
    "augments": Rule(_tuple_of(_AUGMENT.holds), "a tuple of Augment"),
    "epochs": _WHOLE,
    "learning_rate": _NUMBER,
    "loss": _or_none(_FUNCTION),
    "parts": Rule(lambda value: isinstance(value, Mapping) and all(map(callable, value.values())), "a dict of name to function"),
    "sampler": _or_none(Rule(lambda value: callable(getattr(value, "batches", None)), "an object with batches()")),
    "only": _or_none(_FUNCTION),
    "labeller": _or_none(_FUNCTION),
    "weight_decay": _or_none(_NUMBER),
    "guides": Rule(
        lambda value: isinstance(value, Mapping) and all(isinstance(each, Guide) for each in value.values()),
        "a dict of name to Guide",
    ),
    "average": _NUMBER,
    "head_rate": _NUMBER,
    "graft_rate": _NUMBER,
    "solver": _FUNCTION,
    "since": Rule(_is_name, "the name of an earlier phase"),
    "steps": _WHOLE,
    "score": _or_none(Rule(lambda value: callable(value) and callable(getattr(value, "rows", None)), "a function with rows()")),
}
AUGMENT = {"apply": _FUNCTION, "views": _or_none(_WHOLE), "name": Rule(_is_name, "a word"), "per_step": _WHOLE}


def type_faults(record: Any, rules: Mapping[str, Rule] = PHASE, owner: str = "") -> Iterator[str]:
    """What is wrong with the types of a phase's or augmentation's fields, in words."""
    for field in fields(record):
        rule, value = rules.get(field.name), getattr(record, field.name)
        if rule is not None and not rule.holds(value):
            yield f"{owner}{field.name} must be {rule.words}. Received: {shortened(value)}"
        elif isinstance(value, Augment):
            yield from type_faults(value, AUGMENT, f"{field.name}: ")
