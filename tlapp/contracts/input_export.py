"""How an exported model takes its input; what stands here serves plain arrays, and an input of another kind overrides it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

Arrays = Mapping[str, Any]
"""Tensor name -> its NumPy array, (n, ...), of n examples."""


class Endpoint(NamedTuple):
    """An additional signature of a SavedModel.

    Attributes:
        inputs: name -> (shape with the batch, dtype) of what it takes.
        prepare: what it takes, in that order, to the model's input tensors, by TensorFlow's operations; None where it takes
            these tensors themselves, in other dtypes.
    """

    inputs: Mapping[str, tuple[tuple[int | None, ...], str]]
    prepare: Callable[..., Sequence[Any]] | None = None


class Feature(NamedTuple):
    """What a TFLite file says about an input tensor; `low` and `high` are the bounds of its values, or None."""

    name: str
    description: str
    is_image: bool = False
    low: float | None = None
    high: float | None = None


class Snippet(NamedTuple):
    """The part of the Python program that makes `inputs`, a dict of arrays with one example, of the file sys.argv[1].

    `shapes` is there: input name -> shape with the batch.
    """

    argument: str
    imports: str
    prepare: str


class Attachment(NamedTuple):
    """A file inside a TFLite file; `kind` is the number of its AssociatedFileType in the metadata schema."""

    name: str
    description: str
    kind: int
    content: bytes


class ProcessUnit(NamedTuple):
    """What clients of a TFLite file make of an example before they ask: `options` is the number of its kind of options in the
    metadata schema, whose first field lists `files`.
    """

    options: int
    files: tuple[Attachment, ...]


@dataclass(frozen=True)
class InputExport:
    """How an exported model takes arrays.

    Attributes:
        names: of the input tensors, in the model's order.
        noun: what sentences call an example.
    """

    names: tuple[str, ...]
    noun: str = "example"

    task: ClassVar[str] = "tabular-classification"
    """What model hubs call what the model does."""
    dataset: ClassVar[str] = "csv"
    """What model hubs call the form of its data."""
    integers: ClassVar[bool] = False
    """Whether an int8 TFLite file takes uint8 values, one step of the scale a unit; else it takes floats."""
    file_suffixes: ClassVar[tuple[str, ...]] = ()
    """Of files that an endpoint of a SavedModel takes whole."""
    contents: ClassVar[bool] = False
    """Whether that endpoint takes what `Input.content` gives as well, and a golden vector is a file of it."""
    files_agree: ClassVar[float] = 0.95
    """The least share of answers of that endpoint that must be the Keras model's: decoding may differ."""
    ignored: ClassVar[tuple[str, ...]] = ()
    """Further inputs of a TFLite file that its clients give and the model does not read, each like the first."""

    def facts(self) -> dict[str, Any]:
        """What golden.json says about the input."""
        return {"kind": "arrays", "names": list(self.names), "noun": self.noun}

    def report(self) -> dict[str, Any]:
        """What export.json says about the input besides its facts."""
        return {}

    def report_on(self, contents: Sequence[bytes]) -> dict[str, Any]:
        """What export.json says of how a phone reads the contents of the test's examples."""
        return {}

    def unfit(self, quantize: str) -> str:
        """Why a way of quantising does not do for models of such examples, and what does; "" where it may."""
        return ""

    def files(self) -> Mapping[str, bytes]:
        """Files beside an artifact that say how examples are read, by their names."""
        return {}

    def process_units(self) -> Sequence[ProcessUnit]:
        """What a TFLite file says of how its clients prepare an example."""
        return ()

    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints of a SavedModel besides serving_default; one that takes a string takes a file's content."""
        return {}

    def save(self, example: Sequence[Any], stem: Path) -> Path:
        """Write an example as a golden vector, to `stem` and a suffix; return the path."""
        import numpy as np

        path = stem.with_name(f"{stem.name}.npz")
        np.savez(path, **dict(zip(self.names, example, strict=True)))
        return path

    def save_content(self, content: bytes, stem: Path) -> Path:
        """Write an example as a golden vector, by its content, to `stem` and a suffix; return the path."""
        path = stem.with_name(f"{stem.name}{self.file_suffixes[0]}")
        path.write_bytes(content)
        return path

    def received(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """What an artifact makes of its arrays, by Keras's operations (`keras.ops`), before the model gets them."""
        return arrays

    def features(self) -> Sequence[Feature]:
        """What a TFLite file says about each input tensor."""
        return [Feature(name, "Numbers, as in training.") for name in self.names]

    def snippet(self) -> Snippet:
        """How a Python program reads a file."""
        prepare = "arrays = np.load(sys.argv[1])  # one example: one array for each input, by name\n"
        prepare += "inputs = {name: arrays[name][None] for name in shapes}"
        return Snippet("EXAMPLE.npz", "", prepare)

    def phone_program(self, language: str, labelling: str) -> str | None:
        """A program for a phone, in "kotlin" or "swift", for labels "one", "many" or "number"; None where there is none.

        "known" stands for one label and an output `known`, which says whether the example is like those of training.
        """
        return None

    def samples(self, examples: Arrays) -> Iterator[list[Any]]:
        """Examples one by one, each as its arrays with a batch of one, to calibrate int8 on."""
        for number in range(len(next(iter(examples.values())))):
            yield [examples[name][number : number + 1].copy() for name in self.names]

    def usage(self, shapes: Mapping[str, Sequence[Any]]) -> str:
        """What to give the model, in a sentence; `shapes` without the batch."""
        inside = ", ".join(f"{name} of shape {' x '.join(map(str, shape)) or '1'}" for name, shape in shapes.items())
        return f"Give it {inside}: numbers as in training."
