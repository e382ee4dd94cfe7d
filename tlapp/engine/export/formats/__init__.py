"""The formats of exports: a file in this folder and a line of `NAMES` each."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from tlapp.errors import UserError

NAMES = (
    "savedmodel",
    "tflite",
    "keras",
    "onnx",
)
"""Each is also the name of the file in this folder that holds the format, as `FORMAT`."""


@cache
def table() -> dict[str, Any]:
    """Name -> format, a `tlapp.engine.export.formats.format.Format`."""
    return {name: import_module(f"{__name__}.{name}").FORMAT for name in NAMES}


def named(name: str) -> Any:
    """The format of a name.

    Raises:
        UserError: there is none.
    """
    if name not in table():
        raise UserError(f"must be one of {', '.join(table())}. Received: {name}", name, option="format")
    return table()[name]


def quantizations() -> tuple[str, ...]:
    """All that the option quantize may be, with one format or another."""
    return tuple(dict.fromkeys(each for format in table().values() for each in format.quantizations))
