"""A finished run: open it, predict and judge with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts import Input
from tlapp.engine.data.files import sha256
from tlapp.engine.data.labelling import LABELLINGS, Labelling
from tlapp.engine.data.streams import Stream
from tlapp.engine.inputs import Facts, reader_of, unpacked
from tlapp.engine.network.known import OUTPUT, PROBABILITIES, SAID, Known, with_known
from tlapp.engine.network.lengths import alike, is_variable
from tlapp.engine.options import RunOptions
from tlapp.engine.report import Reporter
from tlapp.engine.runs import folder as names
from tlapp.engine.runs.folder import RunFolder
from tlapp.engine.runs.overlap import overlap
from tlapp.engine.runs.predictor import BATCH, Predictor
from tlapp.errors import UserError
from tlapp.tensorflow_import import quiet_tensorflow
from tlapp.untrusted_files import keras_fault, refuse
from tlapp.words import in_a_line


class SavedRun(Predictor):
    """A finished run, by its folder.

    Args:
        folder: the run's.
        layers: gives the layer classes that the model needs beyond Keras's own, by name; asked when it is opened.
        trust: open its model even if it holds code.
        facts: gives what the backbone's provider says of its input; asked where that is none of the engine's own.
        unfinished: take the best model so far of a run that did not finish.

    Raises:
        UserError: the folder is no run, or the run did not finish.
    """

    def __init__(
        self,
        folder: str | Path,
        layers: Callable[[], Mapping[str, type]] = dict,
        trust: bool = False,
        facts: Callable[[], Facts | None] = lambda: None,
        unfinished: bool = False,
    ):
        self.files, self._layers, self._trust, self._facts = RunFolder(Path(folder)), layers, trust, facts
        if not self.files.has(names.SETTINGS):
            inside = f"{names.SETTINGS}, {names.LABELS} and {names.MODEL}"
            raise UserError(f"{folder}: is not a run: a run's folder holds {inside}")
        if not (self.is_finished or (unfinished and self.files.unfinished_model())):
            raise did_not_finish(self.files)

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return self.files.path

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return self.files.has(names.METRICS)

    @property
    def model_file(self) -> Path:
        """The file of the model: of a run that did not finish, that of its best model so far."""
        return (None if self.is_finished else self.files.unfinished_model()) or self.files.file(names.MODEL)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """metrics.json; empty where the run did not finish."""
        return self.files.metrics() if self.is_finished else {}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """settings.yaml."""
        return self.files.settings()

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return self.files.labels()

    @cached_property
    def labelling(self) -> Labelling:
        return labelling_of(self.files)

    @cached_property
    def model(self) -> Any:
        """The deployed Keras model: arrays of the input, such as (n, size, size, 3) RGB 0-255, to probabilities (n, classes)."""
        _ = self.digests  # of the files before they are opened: what changes afterwards is then noticed
        return self.open(self.model_file)

    @cached_property
    def digests(self) -> dict[str, str]:
        """Name -> SHA-256 of each file that answers come from: what is made of the model is bound to them."""
        return self.digests_now()

    def digests_now(self) -> dict[str, str]:
        """As `digests`, of the files as they are by now: the run may have been taught meanwhile."""
        files = (self.model_file, self.files.file(names.UNKNOWN))
        return {path.name: sha256(path) for path in files if path.is_file()}

    @cached_property
    def known(self) -> Known | None:
        """The rule by which the run says "unknown"; None where it does not."""
        return Known.of_arrays(self.files.arrays(names.UNKNOWN)) if self.files.has(names.UNKNOWN) else None

    @property
    def says_unknown(self) -> bool:
        return self.known is not None

    @cached_property
    def judging(self) -> Any:
        """The model, with a second output "known" where the run says "unknown"; see `tlapp.engine.network.known.with_known`."""
        return self.model if self.known is None else with_known(self.model, self.known)

    def open(self, path: Path) -> Any:
        """Another file of the same kind of model, such as a copy of it."""
        return open_model(path, self._layers(), self._trust)

    @cached_property
    def input(self) -> Input:
        if packed := self.files.input():
            return unpacked(packed)
        plan = self.files.plan()
        known = {key: value for key, value in self.settings.items() if key in RunOptions.model_fields}
        kind, size = plan.get("input", "image"), plan.get("image_size")
        return reader_of(kind, lambda: self.model, self._facts, RunOptions(**known), size)

    @property
    def image_size(self) -> int:
        """Pixels a side that the model takes."""
        return int(self.model.inputs[0].shape[1])

    def probabilities(self, arrays: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        return self._outputs(arrays)[0]

    def judged(self, arrays: np.ndarray | Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        if not self.says_unknown:
            return self.probabilities(arrays), None
        answers, known = self._outputs(arrays)
        return answers, known[:, 0] >= SAID

    def outputs(self, arrays: np.ndarray | Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """The answers to examples, (n, classes), and the output "known", (n, 1); None of a run that has none."""
        answers, *known = self._outputs(arrays)
        return answers, known[0] if known else None

    def _outputs(self, arrays: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """The answers to examples, (n, classes), and the output "known" where there is one."""
        parts, model = [arrays] if isinstance(arrays, np.ndarray) else arrays, self.judging
        tensors = [part.astype(tensor.dtype) for part, tensor in zip(parts, model.inputs, strict=True)]
        if is_variable(model.inputs):
            return self._by_length(tensors)
        outputs = model.predict(tensors if len(tensors) > 1 else tensors[0], batch_size=BATCH, verbose=0)
        return _listed(outputs)

    def _by_length(self, tensors: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The answers to examples of different lengths, each computed without its padding."""
        answers: list[np.ndarray] = []
        for rows, part in alike(tensors, BATCH):
            found = [each.numpy() for each in _listed(self._forward(*part))]
            answers = answers or [np.empty((len(tensors[0]), each.shape[-1]), np.float32) for each in found]
            for whole, each in zip(answers, found, strict=True):
                whole[rows] = each
        return answers

    @cached_property
    def _forward(self) -> Callable[..., Any]:
        import tensorflow as tf

        model = self.judging
        signature = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs]
        many = len(signature) > 1
        return tf.function(
            lambda *x: model([*x] if many else x[0], training=False), signature, autograph=False, jit_compile=False
        )

    def trained_on(self, stream: Stream, reporter: Reporter) -> int | None:
        noun, column = self.input.noun, self.input.column
        try:
            rows = self.files.splits(column)
        except UserError as error:
            reporter.note(f"{error}; so it is not known whether the run was trained on these {noun}s")
            return None
        known = overlap(rows, self.files.contents(column), stream, self.input, reporter.progress)
        if sentence := known.sentence(len(stream), noun, self.files.file(names.SPLITS)):
            reporter.note(sentence)
        return known.train + known.val


def _listed(outputs: Any) -> list[Any]:
    """The outputs of a model with `known` or without: the answers first."""
    return [outputs[PROBABILITIES], outputs[OUTPUT]] if isinstance(outputs, dict) else [outputs]


def did_not_finish(files: RunFolder) -> UserError:
    """The error about a run that did not finish: what can be done with it."""
    lacks, use = f"it has no {names.METRICS}", ""
    if files.unfinished_model():
        use = "; predict and evaluate use its best model so far with option unfinished"
    else:
        lacks += " and no model so far"
    error = UserError(f"{files.path}: this run did not finish ({lacks}){use}")
    error.resumable = files.path
    return error


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
