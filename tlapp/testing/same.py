"""Whether two plans are equal, their functions included."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from types import FunctionType, MethodType
from typing import Any


def difference(a: Any, b: Any, place: str = "plan") -> str:
    """Where two values differ, as a path; "" where they are equal. Functions are equal if their code and what they hold are."""
    if a is b:
        return ""
    compare = next((compare for kinds, compare in COMPARE if isinstance(a, kinds)), _objects)
    return compare(a, b, place) if type(a) is type(b) else place


def _sequences(a: Any, b: Any, place: str) -> str:
    if len(a) != len(b):
        return f"{place} (its length)"
    names = getattr(a, "_fields", None)
    return _first((f"{place}.{names[i]}" if names else f"{place}[{i}]", x, b[i]) for i, x in enumerate(a))


def _mappings(a: Any, b: Any, place: str) -> str:
    return place if a.keys() != b.keys() else _first((f"{place}[{key!r}]", a[key], b[key]) for key in a)


def _methods(a: Any, b: Any, place: str) -> str:
    return _first(((place, a.__func__, b.__func__), (f"{place}.__self__", a.__self__, b.__self__)))


def _partials(a: Any, b: Any, place: str) -> str:
    return _first(((place, a.func, b.func), (place, a.args, b.args), (place, a.keywords, b.keywords)))


def _objects(a: Any, b: Any, place: str) -> str:
    if is_dataclass(a):
        return _first((f"{place}.{field.name}", getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    return "" if _equal(a, b) else place


def _functions(a: FunctionType, b: FunctionType, place: str) -> str:
    if a.__code__ is not b.__code__ and a.__code__ != b.__code__:
        return place
    closures = [[cell.cell_contents for cell in each.__closure__ or ()] for each in (a, b)]
    return _first(((place, closures[0], closures[1]), (place, a.__defaults__, b.__defaults__)))


def _first(pairs: Any) -> str:
    return next((path for place, a, b in pairs if (path := difference(a, b, place))), "")


def _equal(a: Any, b: Any) -> bool:
    """By ==; objects that do not define it, by what they hold."""
    import numpy as np

    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if type(a).__eq__ is object.__eq__ and hasattr(a, "__dict__"):
        return not difference(vars(a), vars(b))
    return bool(a == b)


COMPARE: tuple[tuple[Any, Callable[[Any, Any, str], str]], ...] = (
    ((tuple, list), _sequences),
    (dict, _mappings),
    (FunctionType, _functions),
    (MethodType, _methods),
    (functools.partial, _partials),
)
