"""Inputs: all that knows what one example is, and how it is read. `ImageInput` and `TextInput`
state the facts of a backbone for pictures and for texts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from tlapp.contracts.input_export import InputExport
from tlapp.errors import UserError


class BadExample(UserError):
    """An example that cannot be read; `reason` says why in a few words. `passing`: another try may succeed."""

    def __init__(self, source: str, reason: str, passing: bool = False):
        super().__init__(f"{source}: {reason}", received=source)
        self.source, self.reason, self.passing = source, reason, passing


class Tensor(NamedTuple):
    """One array of an example: its name, its shape without the batch, its NumPy dtype as stored on disk."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class ImageInput(NamedTuple):
    """The facts of a backbone for square pictures: `size` pixels a side, 3 channels for RGB, values 0 to 255."""

    size: int
    channels: int = 3

    @property
    def kind(self) -> str:
        """Which of the engine's readers makes arrays of the files."""
        return "image"

    @property
    def words(self) -> str:
        """What one picture is to the network."""
        return f"{self.size} x {self.size} pixels"


class TextInput(NamedTuple):
    """The facts of a backbone for texts: the tokenizer that it was trained with.

    Attributes:
        vocabulary: WordPiece tokens in the order of their ids; [PAD] is the first.
        lowercase: whether texts are lower-cased.
        strip_accents: whether accents are taken off.
        longest: the most tokens that it takes, [CLS] and [SEP] included.
        pairs: whether it takes two texts as well, [CLS] a [SEP] b [SEP], and knows them apart.
    """

    vocabulary: tuple[str, ...]
    lowercase: bool = True
    strip_accents: bool = True
    longest: int = 512
    pairs: bool = False

    @property
    def kind(self) -> str:
        """Which of the engine's readers makes arrays of the texts."""
        return "text"

    @property
    def words(self) -> str:
        """What one text is to the network."""
        return f"at most {self.longest} tokens"


@dataclass(frozen=True)
class Input(ABC):
    """What one example is, such as a picture, a text or a row of numbers, and how it is read.

    The inputs of a backbone's graph are `tensors`, in that order. Equal inputs read equal sources to equal arrays.
    """

    kind: ClassVar[str]
    """A word for it, such as "image"."""
    noun: ClassVar[str]
    """What sentences call an example, in the singular; the plural ends in s."""
    suffixes: ClassVar[frozenset[str]] = frozenset()
    """Of files that hold an example, in lower case with the dot."""
    column: ClassVar[str] = "path"
    """The CSV column that holds an example: "path" means the path of a file, any other that the cell itself is the example."""
    block: ClassVar[int] = 16
    """How many sources are read at a time: more for an input that reads many together in less time."""
    plain: ClassVar[str] = ""
    """What `plain_classifier` gives, in words, such as "TF-IDF with logistic regression"; "" for nothing."""

    @property
    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """The arrays that one example is made of."""

    @abstractmethod
    def key(self) -> Mapping[str, Any]:
        """What the arrays depend on besides the source, as JSON values: part of the cache's key."""

    @abstractmethod
    def read(self, source: str) -> tuple[Any, ...]:
        """The arrays of one example, one a tensor, from a file's path or a cell.

        Raises:
            BadExample: it cannot be read.
        """

    def read_all(self, sources: Sequence[str]) -> Sequence[tuple[Any, ...] | BadExample]:
        """The arrays of each of several examples, or the error of one that cannot be read."""
        return [self._read_or_fail(source) for source in sources]

    def _read_or_fail(self, source: str) -> tuple[Any, ...] | BadExample:
        try:
            return self.read(source)
        except BadExample as error:
            return error

    @abstractmethod
    def show(self, row: Sequence[Any]) -> Any:
        """The arrays of one example for a person to look at: a picture of Pillow's, or a text."""

    def content(self, source: str) -> bytes | None:
        """The bytes of an example that is not in a file; None for one that is."""
        return None if self.column == "path" else source.encode("utf-8", "surrogateescape")

    def columns(self, header: Collection[str]) -> tuple[str, ...]:
        """The columns that hold an example in a table of these columns; cells of several are joined by tabs.

        Raises:
            UserError: the table is for examples of another kind.
        """
        return (self.column,)

    def builtin(self, name: str) -> Sequence[tuple[str, str, str]] | None:
        """The (source, name, label) of each example of a built-in set; None where there is no set of that name."""
        return None

    def fitted(self, sources: Sequence[str]) -> tuple[Input, Sequence[str]]:
        """The input as suits the sources of a run's training examples, and sentences about them for the user.

        It is asked once, before anything is read or split, and not of a finished run: of examples that are split later, those
        of val and test are among the sources, so that nothing but sizes may follow from them.
        """
        return self, ()

    def title(self, source: str) -> str:
        """What sentences call a source."""
        return source

    def plain_classifier(self) -> Any:
        """A scikit-learn classifier of sources, not fitted, that needs no backbone, for a run to be held against; None: none."""
        return None

    @property
    def export(self) -> InputExport:
        """How an exported model takes examples."""
        return InputExport(tuple(tensor.name for tensor in self.tensors), self.noun)

    @property
    def words(self) -> str:
        """What one example is to the network, such as "224 x 224 pixels"."""
        return ", ".join(f"{tensor.name} {' x '.join(map(str, tensor.shape)) or '1'}" for tensor in self.tensors)
