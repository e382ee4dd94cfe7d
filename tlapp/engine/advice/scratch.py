"""The same network, budget and pictures from random weights, or from before an earlier task: what a run owes to transfer."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.advice.baselines import beside
from tlapp.engine.advice.comparison import answers
from tlapp.engine.runs.folder import HISTORY, SETTINGS, RunFolder
from tlapp.errors import UserError

FOLDER = "scratch"
WAYS: Mapping[str, Mapping[str, Any]] = {
    "full": {"warmup": 0, "learning_rate": 1e-3},
    "feature-extract": {},
}
"""What is tried with random weights, by strategy, with its options: a network that nothing taught can also be left as it is, and
its features do well on small sets. The better one on val is what transfer is held against."""
ORIGIN = "origin"
"""Where the run is tried that begins before the task that was learnt first."""
FILE = "file:"
LEAST = 10
"""Epochs that training from scratch has at least."""


class Unlearnt:
    """A provider whose backbones have random weights, drawn as for a new network; what only reads pictures stays.

    Args:
        provider: of the backbones.
    """

    def __init__(self, provider: Any):
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def load(self, name: str, **how: Any) -> Any:
        """As `BackboneProvider.load`."""
        import keras

        loaded = self._provider.load(name, **how)
        for layer, fresh in zip(loaded.graph.layers, keras.models.clone_model(loaded.graph).layers, strict=True):
            if layer.weights and not isinstance(layer, keras.layers.Normalization):
                layer.set_weights(fresh.get_weights())
        return loaded


def origin(backbone: str) -> dict[str, Any]:
    """With which settings the network of a finished run began, before it learnt any task; {} where the backbone is no run's."""
    found: dict[str, Any] = {}
    while backbone.startswith(FILE):
        path = Path(backbone.removeprefix(FILE)).expanduser()
        run = RunFolder(path if path.is_dir() else path.parent)
        if not run.has(SETTINGS):
            break
        found = {name: run.settings().get(name) for name in ("backbone", "backbone_weights", "image_size")}
        backbone = found["backbone"]
    return found


def epochs(run: RunFolder) -> int:
    """How many epochs a finished run trained."""
    with open(run.file(HISTORY), encoding="utf-8", newline="") as file:
        return max(LEAST, len({(row["phase"], row["epoch"]) for row in csv.DictReader(file)}))


def compared(run: RunFolder, tried: Mapping[str, RunFolder]) -> dict[str, Any]:
    """A run beside the better one, on val, of those from random weights: {plugin, accuracy, difference, difference_interval}.

    Raises:
        UserError: they were not tested on the same examples.
    """

    def rank(name: str) -> float:
        metrics = tried[name].metrics()
        return float((metrics["val"] or metrics["test"])["accuracy"])

    plugin = max(tried, key=rank)
    return {"plugin": plugin, **held(run, tried[plugin])}


def held(run: RunFolder, other: RunFolder) -> dict[str, Any]:
    """How accurate a run is beside another: {accuracy, difference, difference_interval}.

    Raises:
        UserError: they were not tested on the same examples.
    """
    ours, theirs = (answers(each) for each in (run, other))
    if ours.keys() != theirs.keys():
        raise UserError(f"{other.path}: was not tested on the examples of {run.path}")
    right = [np.array([each[source].right for source in ours]) for each in (ours, theirs)]
    return beside(*right)


def place(run: Path, plugin: str) -> Path:
    """The folder of a try."""
    return run / FOLDER / plugin
