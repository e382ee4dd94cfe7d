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

    def facts(self) -> dict[str, Any]:
        """What golden.json says about the input."""
        return {"kind": "arrays", "names": list(self.names), "noun": self.noun}

    def report(self) -> dict[str, Any]:
        """What export.json says about the input besides its facts."""
        return {}

    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints of a SavedModel besides serving_default; one that takes a string takes a file's content."""
        return {}

    def save(self, example: Sequence[Any], stem: Path) -> Path:
        """Write an example as a golden vector, to `stem` and a suffix; return the path."""
        import numpy as np

        path = stem.with_name(f"{stem.name}.npz")
        np.savez(path, **dict(zip(self.names, example, strict=True)))
        return path

    def features(self) -> Sequence[Feature]:
        """What a TFLite file says about each input tensor."""
        return [Feature(name, "Numbers, as in training.") for name in self.names]

    def snippet(self) -> Snippet:
        """How a Python program reads a file."""
        prepare = "arrays = np.load(sys.argv[1])  # one example: one array for each input, by name\n"
        prepare += "inputs = {name: arrays[name][None] for name in shapes}"
        return Snippet("EXAMPLE.npz", "", prepare)

    def phone_program(self, language: str, labelling: str) -> str | None:
        """A program for a phone, in "kotlin" or "swift", for labels "one", "many" or "number"; None where there is none."""
        return None

    def samples(self, examples: Arrays) -> Iterator[list[Any]]:
        """Examples one by one, each as its arrays with a batch of one, to calibrate int8 on."""
        for number in range(len(next(iter(examples.values())))):
            yield [examples[name][number : number + 1].copy() for name in self.names]

    def usage(self, shapes: Mapping[str, Sequence[Any]]) -> str:
        """What to give the model, in a sentence; `shapes` without the batch."""
        inside = ", ".join(f"{name} of shape {' x '.join(map(str, shape)) or '1'}" for name, shape in shapes.items())
        return f"Give it {inside}: numbers as in training."
