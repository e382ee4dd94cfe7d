"""Backbones: the facts that a strategy plans with, and the live network that the engine runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from tlapp.contracts.input import ImageInput, Input, TextInput
from tlapp.errors import UserError

Rates = Mapping[str, float]
"""Stage name -> learning-rate factor; 0.0 = frozen."""


class Stage(NamedTuple):
    """A named stretch of a backbone. `shape` is its output's, without the batch; `layers` those with weights, in order."""

    name: str
    params: int
    shape: tuple[int | None, ...] = ()
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backbone:
    """Facts about a backbone: all that `Strategy.plan` gets; never a live model."""

    name: str
    input: ImageInput | TextInput | Input
    stages: tuple[Stage, ...]

    def frozen(self) -> Rates:
        """Rates that freeze every stage."""
        return {stage.name: 0.0 for stage in self.stages}

    def last(self, n: int, decay: float = 1.0) -> Rates:
        """Rates that train the last `n` stages; each stage towards the input learns `decay` times as fast as the one after it.

        Raises:
            UserError: there are fewer than `n` stages; the sentence names them.
        """
        count = len(self.stages)
        if n > count:
            names = self.stages[0].name if count == 1 else f"{self.stages[0].name} ... {self.stages[-1].name}"
            raise UserError(f"{self.name} has {count} stage{'s' * (count > 1)} ({names}). Received: {n}", received=n)
        return {stage.name: decay ** (count - 1 - i) if i >= count - n else 0.0 for i, stage in enumerate(self.stages)}

    def all(self, decay: float = 1.0) -> Rates:
        """Rates that train every stage, `decay` as in `last`."""
        return self.last(len(self.stages), decay)


class Card(NamedTuple):
    """What a list says of a backbone.

    Attributes:
        params: how many, without the classification layer; None where unknown.
        image_size: its own pixels a side; None where unknown.
        weights: where they come from, in two or three words, such as "download"; "" where unknown.
        installed: whether its weights are on this machine.
        licence: of its weights, in words; "" where unknown.
    """

    params: int | None = None
    image_size: int | None = None
    weights: str = ""
    installed: bool = False
    licence: str = ""


@dataclass(frozen=True)
class LoadedBackbone:
    """A live backbone.

    Attributes:
        facts: its name, input and stages.
        graph: a flat functional `keras.Model` from the input's tensors, such as (batch, size, size, 3) raw RGB 0-255, to
            (batch, features).
        stage_of: layer name -> stage name, for every layer of the graph that has weights.
        licence: of the weights, and of the data that they were trained on, in words; "" where unknown.
        weights: where the weights came from, in words ("ImageNet, from ...", "random", a file's name).
    """

    facts: Backbone
    graph: Any
    stage_of: Mapping[str, str]
    licence: str = ""
    weights: str = ""


class BackboneProvider(ABC):
    """A backbone provider, registered in the entry-point group `tlapp.backbones` under the prefix of its IDs."""

    contract: ClassVar[str] = "1.0"
    """The `tlapp.contracts.VERSION` that it was written for."""

    trust: bool = False
    """Whether the user set the option trust: only then may `load` open a file that could run code or write files."""

    def __init__(self, trust: bool = False):
        """Make a provider; a subclass with its own `__init__` must accept `trust` and pass it on."""
        self.trust = trust

    @abstractmethod
    def names(self) -> Iterable[str]:
        """The names that `PREFIX:NAME` accepts and that can be listed; may import Keras."""

    @abstractmethod
    def load(self, name: str, *, image_size: int | None = None, weights: str | None = None) -> LoadedBackbone:
        """Build a backbone.

        Args:
            name: what follows the colon of the ID.
            image_size: pixels a side; None for the backbone's own.
            weights: None for the provider's best, "none" for random ones, else a weights file.

        Raises:
            UserError: an unknown name, a size that it cannot take, or weights that cannot be had; says which file to put where.
        """

    def native_size(self, name: str) -> int | None:
        """The backbone's own pixels a side, if known without importing Keras; else None.

        With it, pictures are read while Keras is imported.
        """
        return None

    def facts(self, name: str, image_size: int | None = None) -> Backbone | None:
        """The facts of a backbone, if known without importing Keras; else None.

        With them, options that do not fit the backbone are refused before anything is loaded or read. A provider whose
        `input` is one of its own gives them, so that a finished run can be opened without loading the backbone.
        """
        return None

    def card(self, name: str) -> Card:
        """What a list says of a backbone; nothing is loaded or fetched for it, and Keras is not imported."""
        facts = self.facts(name)
        return Card(sum(stage.params for stage in facts.stages) if facts else None, self.native_size(name))

    def absolute(self, name: str) -> str:
        """The name of the same backbone from any working folder: where it is a path, that path made absolute."""
        return name

    def custom_layers(self) -> Mapping[str, type]:
        """Layer classes of the provider's own that a saved model needs, by name; may import Keras."""
        return {}
