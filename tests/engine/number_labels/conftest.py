"""A table of images labelled with numbers, and a run on it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.several_labels import write
from PIL import Image
from tlapp_plugins.regression import Regression

from tlapp.contracts import Fit, Plan, Strategy
from tlapp.engine.runs.saved import SavedRun
from tlapp.testing import tiny_run


class Everything(Strategy):
    """Train everything on the stored statistics: those of a batch would take away the brightness that is to be learnt."""

    def plan(self, task, backbone):
        return Plan((Fit(name="all", rates=backbone.all(), epochs=12, learning_rate=1e-2),))


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """A CSV of 160 grey images, labelled with their brightness times 100, from 2,000 to 23,000."""
    folder, rng = tmp_path_factory.mktemp("greys"), np.random.default_rng(0)
    rows = []
    for number, level in enumerate(rng.uniform(20, 230, 160)):
        image = np.clip(level + rng.normal(0, 10, (32, 32, 3)), 0, 255)
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{number}.png")
        rows.append((f"{number}.png", f"{100 * level:.2f}"))
    return write(folder / "greys.csv", rows)


@pytest.fixture(scope="session")
def run(table, tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("number") / "run"
    tiny_run(Everything(), table, folder, Regression())
    return SavedRun(folder)
