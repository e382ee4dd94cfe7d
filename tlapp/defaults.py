"""The default of an option, which can depend on the kind of examples that the data hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlapp.contracts import Options
from tlapp.contracts.options import defaults_by_input


def input_kind(chosen: Mapping[str, Any]) -> str | None:
    """The kind of examples that the chosen data hold, by their looks; None where none are chosen, or it is not known."""
    if not isinstance(data := chosen.get("data"), str | Path):
        return None
    from tlapp.engine.inputs.recognition import kind_of

    return kind_of(os.path.expanduser(data))


def defaults(options: type[Options], kind: str | None, prefix: str) -> dict[str, Any]:
    """The defaults for this kind of input that are not those for every kind."""
    own = {prefix + field: defaults_by_input(info) for field, info in options.model_fields.items()}
    return {key: by_input[kind] for key, by_input in own.items() if kind and kind in by_input}


def is_changed(options: Options, field: str) -> bool:
    """Whether an option has another value than its default, and than those that it has for some kinds of input."""
    info = type(options).model_fields[field]
    return getattr(options, field) not in (info.get_default(call_default_factory=True), *defaults_by_input(info).values())
