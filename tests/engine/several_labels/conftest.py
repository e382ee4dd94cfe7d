"""A table of images with several labels, and a run on it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.several_labels import NAMES, Warm, draw, write
from tlapp_plugins.multilabel import MultiLabel

from tlapp.engine.runs.saved import SavedRun
from tlapp.testing import tiny_run


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """A CSV of 160 pictures, each with none to three colours; written in any order, and with spaces."""
    folder, dice = tmp_path_factory.mktemp("bars"), np.random.default_rng(0)
    rows = []
    for number in range(160):
        names = [name for name, share in zip(NAMES, (0.5, 0.4, 0.35), strict=True) if dice.random() < share]
        draw(folder / f"{number}.png", names, dice)
        rows.append((f"{number}.png", ("; " if number % 2 else ";").join(dice.permutation(names))))
    return write(folder / "bars.csv", rows)


@pytest.fixture(scope="session")
def run(table, tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("many") / "run"
    tiny_run(Warm(), table, folder, MultiLabel())
    return SavedRun(folder)
