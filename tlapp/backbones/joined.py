"""Several backbones as one: `A+B` reads a picture by both, and its features are those of both, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from tlapp.contracts import Backbone, BackboneProvider, Card, ImageInput, LoadedBackbone, Stage, UserError, build

BETWEEN = re.compile(r"\+(?=[A-Za-z][\w-]*:)")
"""A plus sign that a provider's prefix follows; any other belongs to a name, such as a path."""


class Part(NamedTuple):
    """A provider, and the name of its backbone."""

    provider: BackboneProvider
    name: str


def parts_of(identity: str) -> list[str]:
    """The IDs of the backbones that an ID names."""
    return BETWEEN.split(identity)


class Joined(BackboneProvider):
    """Several backbones of other providers, at one image size. The names of a stage are those of the parts and their number.

    Args:
        parts: in the order of the ID.
        prefixes: of the parts' IDs.
    """

    def __init__(self, parts: Sequence[Part] = (), prefixes: Sequence[str] = (), trust: bool = False):
        super().__init__(trust)
        self._parts, self._prefixes = tuple(parts), tuple(prefixes)

    def names(self) -> Iterable[str]:
        """Nothing: any two will do."""
        return ()

    def native_size(self, name: str) -> int | None:
        """The first one's."""
        return self._parts[0].provider.native_size(self._parts[0].name)

    def card(self, name: str) -> Card:
        cards = [part.provider.card(part.name) for part in self._parts]
        counts = [card.params for card in cards]
        total = None if None in counts else sum(count or 0 for count in counts)
        return Card(total, self.native_size(name), _each(card.weights for card in cards), all(card.installed for card in cards),
                    _each(card.licence for card in cards))  # fmt: skip

    def absolute(self, name: str) -> str:
        ids = [f"{prefix}:{part.provider.absolute(part.name)}" for prefix, part in zip(self._prefixes, self._parts, strict=True)]
        return "+".join(ids).partition(":")[2]

    def custom_layers(self) -> Mapping[str, type]:
        return {name: layer for part in self._parts for name, layer in part.provider.custom_layers().items()}

    def load(self, name: str, *, image_size: int | None = None, weights: str | None = None) -> LoadedBackbone:
        """Build the backbones and put their features side by side; see `BackboneProvider.load`.

        The k-th stage from the end is that of the first part, then that of the second, so that the last ones are the parts' last.
        """
        import keras

        if weights not in (None, "none"):
            raise UserError("several backbones cannot share a file of weights; leave the option out", weights, "backbone_weights")
        size = image_size or self.native_size(name)
        loaded = [part.provider.load(part.name, image_size=size, weights=weights) for part in self._parts]
        first = loaded[0].facts.input
        for each in loaded:
            if not isinstance(each.facts.input, ImageInput) or each.facts.input != first:
                raise UserError(
                    f"{each.facts.name} reads {_read(each)}, and {loaded[0].facts.name} {_read(loaded[0])}; join backbones of "
                    "pictures with equal channels",
                    "+".join(one.facts.name for one in loaded), option="backbone",
                )  # fmt: skip
        assert isinstance(first, ImageInput), "checked above"
        image, taken = build.picture(first.size, first.channels), {**build.reserved(), "features": None}
        outputs, stages = [], []
        stage_of: dict[str, str] = {}
        for number, each in enumerate(loaded, 1):
            operations = {operation.name: operation for operation in each.graph.operations}
            outputs.append(build.flat(each.graph, image, taken=taken))
            renamed = {old: operation.name for old, operation in operations.items()}
            stage_of |= {renamed[layer]: f"{stage}-{number}" for layer, stage in each.stage_of.items() if layer in renamed}
            stages.append([
                Stage(f"{stage.name}-{number}", stage.params, stage.shape, tuple(renamed[layer] for layer in stage.layers))
                for stage in each.facts.stages
            ])  # fmt: skip
        features = keras.layers.Concatenate(name="features")(outputs)
        graph = keras.Model(image, features, name="backbone")
        backwards = zip_longest(*(each[::-1] for each in stages))
        ordered = [stage for row in backwards for stage in reversed(row) if stage is not None][::-1]
        facts = Backbone("+".join(each.facts.name for each in loaded), first, tuple(ordered))
        return LoadedBackbone(
            facts, graph, stage_of, _each(each.licence for each in loaded), _each(each.weights for each in loaded)
        )


def _read(loaded: LoadedBackbone) -> str:
    """What a backbone reads, in words."""
    examples = loaded.facts.input
    return f"{examples.words} of {examples.channels} channels" if isinstance(examples, ImageInput) else examples.words


def _each(words: Iterable[str]) -> str:
    """Words of several, each once."""
    return "; ".join(dict.fromkeys(filter(None, words)))
