"""A table of images labelled with numbers, and a run on it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.several_labels import Warm, write
from PIL import Image
from tlapp_plugins.regression import Regression

from tlapp.engine.runs.saved import SavedRun
from tlapp.testing import tiny_run


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A CSV of 160 grey images, labelled with their brightness times 100, from 2,000 to 23,000."""
    folder, rng = tmp_path_factory.mktemp("greys"), np.random.default_rng(0)
    rows = []
    for number, level in enumerate(rng.uniform(20, 230, 160)):
        image = np.clip(level + rng.normal(0, 10, (32, 32, 3)), 0, 255)
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{number}.png")
        rows.append((f"{number}.png", f"{100 * level:.2f}"))
    return write(folder / "greys.csv", rows)


@pytest.fixture(scope="module")
def run(table, tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("number") / "run"
    tiny_run(Warm(), table, folder, Regression())
    return SavedRun(folder)
