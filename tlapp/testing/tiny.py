"""A tiny backbone, a tiny set of pictures, and a way to train on both in seconds."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts import Backbone, BackboneProvider, Head, ImageInput, LoadedBackbone, Stage, Strategy, UserError
from tlapp.engine.options import RunOptions
from tlapp.engine.report import Silent

CLASSES = ("circle", "square", "stripe")
"""What `pictures` draws."""
SIZE = 32
"""Pixels a side, of the pictures and of the tiny backbone."""


class TinyBackbones(BackboneProvider):
    """A provider of one network, "tiny": three stages of convolution, batch norm and ReLU6.

    The middle stage adds to its output a depthwise and a 1x1 convolution of it, the last has dropout.
    """

    def names(self) -> Iterable[str]:
        return ("tiny",)

    def native_size(self, name: str) -> int | None:
        return SIZE

    def load(self, name: str, *, image_size: int | None = None, weights: str | None = None) -> LoadedBackbone:
        """Random weights, the same each time, and batch-norm statistics that are not those of a new layer."""
        if name not in self.names():
            raise UserError("there is only tiny", f"tiny:{name}", option="backbone")
        import keras

        layers = keras.layers
        rng = np.random.default_rng(7)
        image = keras.Input((image_size or SIZE, image_size or SIZE, 3), name="image")
        x = layers.Rescaling(1 / 127.5, -1.0, name="rescale")(image)
        stage_of, stages = {"rescale": "stem"}, []
        for stage, width in (("stem", 8), ("middle", 16), ("top", 24)):
            made = [
                layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False, name=f"{stage}_conv"),
                layers.BatchNormalization(name=f"{stage}_norm"),
                layers.ReLU(6.0, name=f"{stage}_relu"),
            ]
            if stage == "top":
                made += [layers.Dropout(0.2, name="top_dropout"), layers.GlobalAveragePooling2D(name="top_pool")]
            for layer in made:
                x = layer(x)
            if stage == "middle":
                block = [
                    layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="middle_depthwise"),
                    layers.Conv2D(width, 1, name="middle_pointwise"),
                ]
                add = layers.Add(name="middle_add")
                x = add([x, block[1](block[0](x))])
                made += [*block, add]
            for layer in made:
                stage_of[layer.name] = stage
                layer.set_weights([_value(rng, w.path, w.shape) for w in layer.weights])
            params = sum(int(np.prod(w.shape)) for layer in made for w in layer.weights)
            stages.append(Stage(stage, params, tuple(x.shape[1:]), tuple(layer.name for layer in made if layer.weights)))
        facts = Backbone("tiny:tiny", ImageInput(image.shape[1]), tuple(stages))
        return LoadedBackbone(facts, keras.Model(image, x, name="tiny"), stage_of, weights="random")


def _value(rng: np.random.Generator, path: str, shape: tuple[int, ...]) -> np.ndarray:
    if "depthwise" in path:
        return rng.normal(0, 0.2, shape)
    if path.endswith("kernel"):
        return rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
    return rng.uniform(0.5, 1.5, shape) if path.endswith(("gamma", "variance")) else rng.normal(0, 0.1, shape)


def pictures(folder: str | Path, each: int = 16, classes: Iterable[str] = CLASSES, seed: int = 0) -> Path:
    """Write class folders of small PNG pictures, bright shapes on noise, and return the folder."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    for name in classes:
        inside = Path(folder) / name
        inside.mkdir(parents=True, exist_ok=True)
        for number in range(each):
            Image.fromarray(_draw(name, rng)).save(inside / f"{number:03d}.png")
    return Path(folder)


def texts(path: str | Path, vocabulary: Iterable[str], each: int = 16, classes: Sequence[str] = CLASSES, seed: int = 0) -> Path:
    """Write a CSV of short texts in words of a vocabulary, of which each class has some of its own, and return its path."""
    words = [word for word in vocabulary if word.isalpha()][: 30 * len(classes)]
    rng, rows = np.random.default_rng(seed), []
    for number, name in enumerate(classes):
        own = words[number :: len(classes)]
        rows += [(" ".join(rng.choice(own, rng.integers(2, 9))), name) for _ in range(each)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return Path(path)


def _draw(name: str, rng: np.random.Generator) -> np.ndarray:
    picture = rng.integers(0, 120, (SIZE, SIZE, 3), dtype=np.uint8)
    row, column = np.mgrid[:SIZE, :SIZE] - rng.integers(10, 22, 2)[:, None, None]
    inside = {"circle": row**2 + column**2 < 64, "square": np.maximum(abs(row), abs(column)) < 7, "stripe": abs(row) < 3}[name]
    picture[inside] = rng.integers(160, 256, 3)
    return picture


def tiny_run(
    strategy: Strategy, data: str | Path, run: str | Path, head: Head | None = None, provider: BackboneProvider | None = None,
    **options: Any,
) -> Any:  # fmt: skip
    """Train a strategy on the tiny backbone by the engine itself, and return the engine's run, its layers included.

    Args:
        strategy: what to train by.
        data: as the option data, such as a folder that `pictures` wrote.
        run: the folder to write.
        head: None for one dense layer.
        provider: None for `TinyBackbones`; of any other, its first name is taken.
        options: of the engine; see `tlapp.engine.options.RunOptions`.
    """
    from tlapp.engine.job import Job
    from tlapp.engine.run import Run

    chosen = RunOptions(data=str(data), run=str(run), **{"batch_size": 8, "report": "off", **options})
    plugin_name, source = f"strategy {type(strategy).__name__}", provider or TinyBackbones()
    name = next(iter(source.names()))
    job = Job(chosen, strategy, head or Dense(), source, name, chosen.model_dump(mode="json"), (), plugin_name)
    under_way = Run(job, Silent())
    under_way.load()
    under_way.prepare()
    under_way.begin()
    under_way.work.carry_out()
    under_way.finish()
    return under_way


class Dense(Head):
    """One dense layer on the features."""

    def build(self, features: Any, task: Any) -> Any:
        import keras

        return keras.layers.Dense(len(task.classes), name="outputs")
