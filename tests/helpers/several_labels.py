"""Images that show none, one or several of three colours, and the tables that name them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from PIL import Image

from tlapp.contracts import Fit, Plan, Strategy
from tlapp.engine.data import streams
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.inputs.images import Images
from tlapp.engine.options import RunOptions

ROOT = Path(__file__).parents[2]


MANY = LABELLINGS["many"]


COLOURS = {"blue": (30, 60, 220), "green": (40, 200, 60), "red": (220, 50, 40)}


NAMES = tuple(COLOURS)


class Warm(Strategy):
    """Train everything."""

    def plan(self, task, backbone):
        return Plan((Fit(name="all", rates=backbone.all(), epochs=12, learning_rate=1e-2, batch_norm="update"),))


def documented():
    """The head that docs/plugins.md shows."""
    text = (ROOT / "docs" / "plugins.md").read_text()
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", text.partition("## Reference")[0], re.S) if "(Head)" in block
    )
    inside = {"__name__": __name__}
    exec(code, inside)
    return inside["Several"]


def draw(path, names, dice):
    """A grey picture with a bar of each colour."""
    picture = np.full((32, 32, 3), 110) + dice.normal(0, 10, (32, 32, 3))
    for place, name in zip(dice.permutation(4)[: len(names)], names, strict=True):
        picture[:, 8 * place : 8 * place + 8] = COLOURS[name]
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path)


def read(path):
    with open(path, newline="") as file:
        return [*csv.DictReader(file)]


def write(path, rows, header="path,label"):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def two_labels(run):
    """The file of a test picture with two labels or more."""
    rows = read(run.folder / "splits.csv")
    return next(row["path"] for row in rows if row["split"] == "test" and ";" in row["label"])


def load(path, labelling=MANY, **options):
    return streams.load(
        RunOptions(data=str(path), **{key: str(value) for key, value in options.items()}), Images(32), labelling=labelling
    )
