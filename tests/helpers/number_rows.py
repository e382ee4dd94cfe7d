"""A second kind of input: rows of numbers in a CSV, two tensors an example, and a tiny backbone that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlapp.contracts import Backbone, BackboneProvider, BadExample, Input, LoadedBackbone, Stage, Tensor, UserError

WIDTH = 8
CLASSES = ("falling", "rising", "wavy")


@dataclass(frozen=True)
class NumberRow(Input):
    """Up to `width` numbers in a cell: the numbers themselves, and which of the places hold one."""

    width: int = WIDTH

    kind = "numbers"
    noun = "row"
    column = "values"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return Tensor("numbers", (self.width,), "float32"), Tensor("mask", (self.width,), "int32")

    def key(self) -> Mapping[str, Any]:
        return {"version": 1, "width": self.width}

    def read(self, source: str) -> tuple[np.ndarray, ...]:
        try:
            values = [float(word) for word in source.split()]
        except ValueError as error:
            raise BadExample(source, "holds what is no number") from error
        numbers, mask = np.zeros(self.width, np.float32), np.zeros(self.width, np.int32)
        count = min(len(values), self.width)
        numbers[:count], mask[:count] = values[:count], 1
        return numbers, mask

    def show(self, row: Sequence[Any]) -> str:
        return " ".join(f"{value:.2f}" for value, used in zip(*row, strict=True) if used)


class RowBackbones(BackboneProvider):
    """Three stages of dense layers and batch norm on rows of numbers; the last stage reads the mask too."""

    def names(self):
        return ("small",)

    def facts(self, name, image_size=None):
        return Backbone("rows:small", NumberRow(), STAGES)

    def load(self, name, *, image_size=None, weights=None):
        if name not in self.names():
            raise UserError(f"there is no {name}")
        import keras

        rng, layers = np.random.default_rng(3), keras.layers
        numbers = keras.Input((WIDTH,), name="numbers", dtype="float32")
        mask = keras.Input((WIDTH,), name="mask", dtype="int32")
        x, made = numbers, {}
        for stage in STAGES:
            if stage.name == "top":
                embed = layers.Embedding(2, 2, name="top_embed")
                x = layers.Concatenate(name="join")([x, layers.Flatten(name="flat")(embed(mask))])
                made["top_embed"] = "top"
                embed.set_weights([rng.normal(0, 1, (2, 2))])
            for layer in (
                layers.Dense(stage.shape[0], activation="relu", name=f"{stage.name}_dense"),
                layers.BatchNormalization(name=f"{stage.name}_norm"),
            ):
                x = layer(x)
                made[layer.name] = stage.name
                layer.set_weights([_value(rng, w.path, w.shape) for w in layer.weights])
        return LoadedBackbone(self.facts(name), keras.Model([numbers, mask], x, name="rows"), made, weights="random")


def _params(inputs: int, width: int) -> int:
    return (inputs + 1) * width + 4 * width


STAGES = (
    Stage("stem", _params(WIDTH, 16), (16,), ("stem_dense", "stem_norm")),
    Stage("middle", _params(16, 16), (16,), ("middle_dense", "middle_norm")),
    Stage("top", 4 + _params(16 + 2 * WIDTH, 12), (12,), ("top_embed", "top_dense", "top_norm")),
)


def _value(rng: np.random.Generator, path: str, shape: tuple[int, ...]) -> np.ndarray:
    if path.endswith("kernel"):
        return rng.normal(0, np.sqrt(2 / shape[0]), shape)
    return rng.uniform(0.5, 1.5, shape) if path.endswith(("gamma", "variance")) else rng.normal(0, 0.1, shape)


def write_rows(path, each=20, seed=0):
    """A CSV of labelled rows of numbers, of 6 to 9 numbers each."""
    rng = np.random.default_rng(seed)
    lines = ["values,label"]
    for name in CLASSES:
        for _ in range(each):
            count = int(rng.integers(6, WIDTH + 2))
            places = np.linspace(0, 1, count)
            curve = {"falling": 1 - 2 * places, "rising": 2 * places - 1, "wavy": np.sin(12 * places)}[name]
            lines.append(" ".join(f"{value:.3f}" for value in curve + rng.normal(0, 0.3, count)) + f",{name}")
    path.write_text("\n".join(lines) + "\n")
    return path
