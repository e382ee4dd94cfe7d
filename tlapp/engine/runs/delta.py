"""A run in one small file, adapter.safetensors: the weights that are not the backbone's, and what is needed to use them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Task
from tlapp.errors import UserError
from tlapp.words import in_a_line

MOST = 0.25
"""The largest share of a model's weights that is worth a file of their own."""
NEEDS = "the package safetensors: pip install 'tlapp[adapters]'"
_KEY = "tlapp"


class Facts(NamedTuple):
    """What a delta says of its run.

    Attributes:
        backbone: digest of the backbone's weights before training.
        task: what was to be learnt.
        settings: as in the run's folder; in the file, ./NAME stands for each path, as where the user's files lie is nobody's
            business.
        plan, labels, metrics: as in the run's folder.
        scale: what makes answers of outputs where labels are numbers: a factor and what is added then.
        temperature, shift: by what the head's outputs are divided where they are calibrated, and what is added for thresholds.
    """

    backbone: str
    task: Task
    settings: Mapping[str, Any]
    plan: Mapping[str, Any]
    labels: tuple[str, ...]
    metrics: Mapping[str, Any]
    scale: Sequence[float] | None = None
    temperature: float = 1.0
    shift: Sequence[float] = ()


class Delta(NamedTuple):
    """Facts, and weights by name."""

    facts: Facts
    weights: Mapping[str, np.ndarray]


def can_be_written() -> bool:
    """Whether the package is installed that writes and reads them."""
    return find_spec("safetensors") is not None


def content(delta: Delta) -> bytes:
    """The file's bytes (https://huggingface.co/docs/safetensors: a header in JSON, then the arrays)."""
    from safetensors.numpy import save

    facts = {**delta.facts._asdict(), "task": asdict(delta.facts.task)}
    facts["settings"] = without_places(delta.facts.settings)
    facts["plan"] = {key: without_places(value) if key == "backbone" else value for key, value in delta.facts.plan.items()}
    return save({name: np.ascontiguousarray(a) for name, a in delta.weights.items()}, {_KEY: json.dumps(facts)})


def read(path: Path) -> Delta:
    """A delta from its file.

    Raises:
        UserError: it cannot be read, or is no such file.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: there is no such file; a run has one if it changed at most a quarter of the weights, with {NEEDS}"
        )
    if not can_be_written():
        raise UserError(f"{path}: to read it needs {NEEDS}")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            facts, weights = (file.metadata() or {}).get(_KEY), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        if facts is None:
            raise UserError(f"{path}: was not written by tlapp; expected the adapter.safetensors of a run")
        known = json.loads(facts)
        task: dict[str, Any] = {key: tuple(part) if isinstance(part, list) else part for key, part in known["task"].items()}
        known = Facts(**{**known, "task": Task(**task), "labels": tuple(known["labels"])})
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: cannot be read as adapter.safetensors of a run: {in_a_line(error)}") from error
    return Delta(known, weights)


def without_places(value: Any) -> Any:
    """Settings with ./NAME for each absolute path, after a prefix such as "file:" too."""
    if isinstance(value, Mapping):
        return {key: without_places(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(each) for each in value]
    prefix, path = _parts(value)
    return f"{prefix}./{os.path.basename(os.path.normpath(path))}" if os.path.isabs(path) else value


def with_places(value: Any, folder: Path) -> Any:
    """Settings in which ./NAME is the file or folder of that name in `folder`, where there is one."""
    if isinstance(value, Mapping):
        return {key: with_places(each, folder) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_places(each, folder) for each in value]
    prefix, path = _parts(value)
    return f"{prefix}{folder.absolute() / path}" if path.startswith("./") and (folder / path).exists() else value


def _parts(value: Any) -> tuple[str, str]:
    """A prefix such as "file:", and the path after it; ("", "") of what is no text."""
    if not isinstance(value, str):
        return "", ""
    prefix, colon, path = value.partition(":")
    return (f"{prefix}:", path) if colon and prefix.isidentifier() and len(prefix) > 1 else ("", value)
