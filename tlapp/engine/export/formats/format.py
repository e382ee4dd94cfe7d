"""What a format of exports is: how its artifact is written, run and loaded. A file beside this one holds each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tlapp.contracts import OnDevice
from tlapp.contracts.input_export import Arrays, InputExport
from tlapp.engine.export.formats.artifact import Answers
from tlapp.engine.export.metadata import Facts
from tlapp.engine.runs.folder import LABELS, read_labels
from tlapp.engine.runs.saved import open_model
from tlapp.errors import UserError


class Way(NamedTuple):
    """A way of quantising. `keep`: how many layers stay in float, those that rounding harms most."""

    quantize: str
    keep: int = 0

    def __str__(self) -> str:
        return f"{self.quantize} with its {self.keep} worst layers in float" if self.keep else self.quantize


class Unfit(UserError):
    """A model does not convert; `reason` says why."""

    def __init__(self, reason: str):
        super().__init__(f"this model does not convert: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Material:
    """What an artifact is made of.

    Attributes:
        model: the deployed Keras model.
        input: how an exported model takes its examples.
        labels, labelling: the classes, and whether an example has one of them or several.
        folder: where to write; its file of labels is there.
        facts: words for the artifact's metadata.
        model_file: the model's own file in the run folder, where there is one.
        calibration: examples of the training set, where the format asked for some.
        learner: what a phone is to teach, where it is to.
        memo: what a format keeps from one way of quantising to the next.
    """

    model: Any
    input: InputExport
    labels: Sequence[str]
    folder: Path
    facts: Facts
    labelling: str = "one"
    model_file: Path | None = None
    calibration: Arrays | None = None
    learner: OnDevice | None = None
    memo: dict[str, Any] = field(default_factory=dict)

    def receiving(self) -> Any:
        """The model behind what its input makes of the arrays; the model itself where that is nothing."""
        if type(self.input).received is InputExport.received:
            return self.model
        import keras

        inputs = [keras.Input(each.shape[1:], dtype=each.dtype, name=each.name) for each in self.model.inputs]
        arrays = self.input.received(inputs)
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], self.model(arrays if len(arrays) > 1 else arrays[0]))


Classifier = Callable[[Arrays], np.ndarray]
"""The arrays of n examples, by the names of the input tensors -> their probabilities, (n, classes)."""


Asker = Callable[[Arrays], tuple[np.ndarray, np.ndarray | None]]
"""As a `Classifier`, with how well each is known, (n, 1): None of an artifact that does not say so."""


class Questions(NamedTuple):
    """What an artifact is asked.

    Attributes:
        examples: the arrays of n examples, by the names of the input tensors.
        files: files for the endpoints that take a file's content.
        open_model: opens a Keras file; a run's own knows layers that Keras does not.
    """

    examples: Arrays
    files: Sequence[str] = ()
    open_model: Callable[[Path], Any] = open_model


class Format(ABC):
    """A format of exports: all that is its own stands in one file, and its name on one line of the table."""

    name: ClassVar[str]
    """As the option format takes it."""
    file: ClassVar[str]
    """What its artifact is called in the folder of an export."""
    words: ClassVar[str]
    """The help: what it is for, in a few words."""
    library: ClassVar[str]
    """What model hubs call the library that loads it."""
    runtime: ClassVar[str] = "tensorflow"
    """What runs it."""
    quantizations: ClassVar[tuple[str, ...]] = ("none",)
    """What the option quantize may be."""
    phones: ClassVar[bool] = False
    """Whether phones run it, so that there are programs in Kotlin and Swift for it."""
    instead: ClassVar[str] = ""
    """A format that takes models which this one does not, for the advice where one does not convert."""
    loading: ClassVar[str]
    """The part of the Python program that loads the artifact: it defines `shapes`, input name -> shape with the batch, and
    `classify`, from a dict of arrays with one example to its probabilities, (classes,). "{output}" stands for the name of that
    output, and "{known}" where what is said of the output `known` follows; `answers` there holds that output by its name.
    """

    @abstractmethod
    def write(self, material: Material, way: Way) -> dict[str, Any]:
        """Write an artifact; return {"artifact": its name in the folder} and what else export.json is to say.

        Raises:
            UserError: the model does not convert, or a package is missing.
        """

    @abstractmethod
    def ask(self, artifact: Path, questions: Questions) -> Answers:
        """Run an artifact as its user would.

        Raises:
            UserError: it does not run.
        """

    def open(self, artifact: Path, open_model: Callable[[Path], Any] = open_model) -> Classifier:
        """Load an artifact once, to classify with it block by block; without a way of its own, a format asks it each time.

        Raises:
            UserError: it does not load, or a package is missing.
        """
        return lambda examples: self.ask(artifact, Questions(examples, (), open_model)).probabilities

    def opened(self, artifact: Path, open_model: Callable[[Path], Any] = open_model) -> Asker:
        """As `open`, with the output "known"; a format without a way of its own has none."""
        classify = self.open(artifact, open_model)
        return lambda examples: (classify(examples), None)

    def fault(self, artifact: Path) -> str:
        """What in an artifact from elsewhere could run code or write files when it is opened; "" where nothing could."""
        return ""

    def ways(self, quantize: str, exactly: bool) -> tuple[Way, ...]:
        """The ways of quantising to try, the smallest file first; `exactly`: only what is named."""
        return (Way(quantize),)

    def calibration(self, quantize: str) -> int:
        """How many training examples are needed to quantise."""
        return 0

    def agreement(self, quantize: str) -> float:
        """The share of top labels that must stay the same on the validation set for a way to be chosen."""
        return 0.0


def joined(parts: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> tuple[np.ndarray, np.ndarray | None]:
    """The answers of an `Asker` to several blocks as one."""
    known = [part for _, part in parts if part is not None]
    return np.concatenate([part for part, _ in parts]), np.concatenate(known) if known else None


def labels_beside(artifact: Path) -> tuple[str, ...]:
    """The class names in the file beside an artifact that holds none itself."""
    return read_labels(artifact.with_name(LABELS))


def sole(arrays: Mapping[str, np.ndarray], name: str, count: int) -> np.ndarray:
    """The array for an input tensor: of its name, or the only one where there is one input, whatever it is called."""
    return next(iter(arrays.values())) if count == len(arrays) == 1 else arrays[name]
