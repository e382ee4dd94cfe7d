"""A finished run: open it, predict and judge with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import ImageInput, Input
from tlapp.engine.data import streams
from tlapp.engine.data.labelling import LABELLINGS, Labelling
from tlapp.engine.inputs import reader_of
from tlapp.engine.options import RunOptions
from tlapp.engine.report import Reporter, Silent
from tlapp.engine.runs import folder as names
from tlapp.engine.runs.folder import RunFolder
from tlapp.errors import UserError
from tlapp.tensorflow_import import quiet_tensorflow
from tlapp.untrusted_files import keras_fault, refuse
from tlapp.words import in_a_line

BATCH = 32


class Prediction(NamedTuple):
    """An example's most probable labels, best first: ((label, probability), ...); none where none is probable enough."""

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
        facts: gives what the backbone's provider says of its input; asked where that is none of the engine's own.

    Raises:
        UserError: the folder is no run, or the run did not finish.
    """

    def __init__(
        self,
        folder: str | Path,
        layers: Callable[[], Mapping[str, type]] = dict,
        trust: bool = False,
        facts: Callable[[], ImageInput | Input | None] = lambda: None,
    ):
        self.files, self._layers, self._trust, self._facts = RunFolder(Path(folder)), layers, trust, facts
        if not self.files.has(names.SETTINGS):
            inside = f"{names.SETTINGS}, {names.LABELS} and {names.MODEL}"
            raise UserError(f"{folder}: is no run; a run's folder holds {inside}")
        if not self.files.has(names.METRICS):
            raise UserError(f"{folder}: this run did not finish (it has no {names.METRICS}); train it again")

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return self.files.path

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """metrics.json."""
        return self.files.metrics()

    @cached_property
    def settings(self) -> dict[str, Any]:
        """settings.yaml."""
        return self.files.settings()

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return self.files.labels()

    @cached_property
    def labelling(self) -> Labelling:
        """Whether an example has one label or several."""
        return labelling_of(self.files)

    @cached_property
    def model(self) -> Any:
        """The deployed Keras model: arrays of the input, such as (n, size, size, 3) RGB 0-255, to probabilities (n, classes)."""
        return self.open(self.files.file(names.MODEL))

    def open(self, path: Path) -> Any:
        """Another file of the same kind of model, such as a copy of it."""
        return open_model(path, self._layers(), self._trust)

    @cached_property
    def input(self) -> Input:
        """What reads an example as the run did."""
        plan = self.files.plan()
        known = {key: value for key, value in self.settings.items() if key in RunOptions.model_fields}
        return reader_of(plan.get("input", "image"), self.model, self._facts, RunOptions(**known))

    @property
    def image_size(self) -> int:
        """Pixels a side that the model takes."""
        return int(self.model.inputs[0].shape[1])

    def probabilities(self, arrays: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Examples as stored, an array (n, ...) a tensor of the input, or the array itself where it is one -> (n, classes)."""
        parts = [arrays] if isinstance(arrays, np.ndarray) else arrays
        tensors = [part.astype(tensor.dtype) for part, tensor in zip(parts, self.model.inputs, strict=True)]
        return self.model.predict(tensors if len(tensors) > 1 else tensors[0], batch_size=BATCH, verbose=0)

    def predict(self, files: Sequence[str | Path], top: int | None = None) -> list[Prediction]:
        """The `top` most probable labels of each file, or of each example itself; None for the answer: one, or all above 0.5.

        Raises:
            UserError: an example cannot be read.
        """
        predictions = []
        for start in range(0, len(files), BATCH):
            block = [str(file) for file in files[start : start + BATCH]]
            examples = [self.input.read(file) for file in block]
            rows = self.probabilities([np.stack(parts) for parts in zip(*examples, strict=True)])
            answers = self.labelling.hot(self.labelling.decide(rows), len(self.labels)).sum(1)
            for file, row, count in zip(block, rows, answers, strict=True):
                best = np.argsort(-row, kind="stable")[: top or count]
                predictions.append(Prediction(file, tuple((self.labels[i], float(row[i])) for i in best)))
        return predictions

    def evaluate(self, data: str, on_bad: str = "fail", reporter: Reporter | None = None) -> dict[str, Any]:
        """Metrics on other labelled examples: class folders or a CSV, as metrics.json's splits.

        Raises:
            UserError: as the option data of train; or a class is not one of the run's.
        """
        listener = reporter or Silent()
        stream, notes = streams.load_labelled("data", data, self.labels, self.input, on_bad, listener.progress, self.labelling)
        for note in notes:
            listener.note(note)
        blocks = [np.arange(i, min(i + BATCH, len(stream))) for i in range(0, len(stream), BATCH)]
        rows = np.concatenate([self.probabilities(stream.examples.take(block)) for block in blocks])
        assert stream.labels is not None, "load_labelled gives labels"
        return self.labelling.metrics(rows, stream.labels, self.labels)


def labelling_of(files: RunFolder) -> Labelling:
    """How a run's labels are read, by its plan."""
    return LABELLINGS[files.plan().get("labelling", "one")]


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
