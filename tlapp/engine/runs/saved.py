"""A finished run: open it, predict and judge with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from tlapp.engine.data import streams
from tlapp.engine.data.labelling import Labelling, of_run
from tlapp.engine.inputs import images
from tlapp.engine.report import Reporter, Silent
from tlapp.errors import UserError
from tlapp.tensorflow_import import quiet_tensorflow
from tlapp.untrusted_files import keras_fault, refuse
from tlapp.words import in_a_line

BATCH = 32


class Prediction(NamedTuple):
    """A picture's most probable labels, best first: ((label, probability), ...); none where none is probable enough."""

    file: str
    labels: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The most probable label; "" where there is none."""
        return self.labels[0][0] if self.labels else ""


class SavedRun:
    """A finished run, by its folder.

    Args:
        folder: the run's.
        layers: gives the layer classes that the model needs beyond Keras's own, by name; asked when it is opened.
        trust: open its model even if it holds code.

    Raises:
        UserError: the folder is no run, or the run did not finish.
    """

    def __init__(self, folder: str | Path, layers: Callable[[], Mapping[str, type]] = dict, trust: bool = False):
        self.folder, self._layers, self._trust = Path(folder), layers, trust
        if not (self.folder / "settings.yaml").is_file():
            raise UserError(f"{folder}: is no run; a run's folder holds settings.yaml, labels.txt and model.keras")
        if not (self.folder / "metrics.json").is_file():
            raise UserError(f"{folder}: this run did not finish (it has no metrics.json); train it again")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """metrics.json."""
        return json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """settings.yaml."""
        return yaml.safe_load((self.folder / "settings.yaml").read_text(encoding="utf-8"))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return tuple((self.folder / "labels.txt").read_text(encoding="utf-8").splitlines())

    @cached_property
    def labelling(self) -> Labelling:
        """Whether a picture has one label or several."""
        return of_run(self.folder)

    @cached_property
    def model(self) -> Any:
        """The deployed Keras model: (n, size, size, 3) raw RGB 0-255 -> probabilities (n, classes)."""
        return self.open(self.folder / "model.keras")

    def open(self, path: Path) -> Any:
        """Another file of the same kind of model, such as a copy of it."""
        return open_model(path, self._layers(), self._trust)

    @property
    def image_size(self) -> int:
        """Pixels a side that the model takes."""
        return int(self.model.inputs[0].shape[1])

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """(n, size, size, 3) raw RGB 0-255 -> (n, classes)."""
        return self.model.predict(pictures.astype(np.float32), batch_size=BATCH, verbose=0)

    def predict(self, files: Sequence[str | Path], top: int | None = None) -> list[Prediction]:
        """The `top` most probable labels of each picture file; None for the answer: one label, or all above 0.5.

        Raises:
            UserError: a file cannot be read.
        """
        found = []
        for start in range(0, len(files), BATCH):
            block = [str(file) for file in files[start : start + BATCH]]
            pictures = np.stack([images.read(file, self.image_size) for file in block])
            rows = self.probabilities(pictures)
            answers = self.labelling.hot(self.labelling.decide(rows), len(self.labels)).sum(1)
            for file, row, count in zip(block, rows, answers, strict=True):
                best = np.argsort(-row, kind="stable")[: top or count]
                found.append(Prediction(file, tuple((self.labels[i], float(row[i])) for i in best)))
        return found

    def evaluate(self, where: str, on_bad: str = "fail", reporter: Reporter | None = None) -> dict[str, Any]:
        """Metrics on other labelled pictures: class folders or a CSV, as metrics.json's splits.

        Raises:
            UserError: as the option data of train; or a class is not one of the run's.
        """
        told = reporter or Silent()
        stream, notes = streams.load_labelled("data", where, self.labels, self.image_size, on_bad, told.progress, self.labelling)
        for note in notes:
            told.note(note)
        blocks = [np.arange(i, min(i + BATCH, len(stream))) for i in range(0, len(stream), BATCH)]
        rows = np.concatenate([self.probabilities(stream.pixels.take(block)) for block in blocks])
        assert stream.labels is not None, "load_labelled gives labels"
        return self.labelling.metrics(rows, stream.labels, self.labels)


def open_model(path: Path, layers: Mapping[str, type] | None = None, trust: bool = False) -> Any:
    """A deployed Keras model from its file; `layers` are classes that Keras does not know.

    Raises:
        UserError: it holds what could run code or write files, and there is no trust; or it is damaged.
    """
    quiet_tensorflow()
    import keras

    if not trust:
        refuse(keras_fault(path, layers or ()), path)
    try:
        model = keras.saving.load_model(path, custom_objects=dict(layers or {}), compile=False, safe_mode=not trust)
    except Exception as error:  # Keras, zipfile and h5py raise whatever they like for a file that they do not know
        raise UserError(
            f"{path}: Keras cannot load it, so that it is damaged or of another version: {in_a_line(error)}"
        ) from error
    model.jit_compile = False  # on a processor XLA makes convolutions many times slower, and takes seconds to compile them
    return model
