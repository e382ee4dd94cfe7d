"""What is known of rows beside the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tlapp.engine.cache.columns import Digests, Shapes
from tlapp.engine.cache.earlier import Part
from tlapp.engine.inputs.workers import Block


class Facts(NamedTuple):
    """What is told of rows beside the rows: the digest of each, row (as text) -> why it is bad, and the shape of each."""

    digests: Digests
    bad: dict[str, str]
    shapes: Shapes

    @classmethod
    def unknown(cls, count: int) -> Facts:
        """Of so many rows, as long as nothing is known of them."""
        return cls(Digests.none(count), {}, Shapes.none(count))

    def copy(self, parts: Sequence[Part]) -> None:
        """Take over what earlier entries tell."""
        for table, numbers, places in parts:
            self.digests.array[places] = Digests.of(table.extra["digests"]).array[numbers]
            self.shapes.array[places] = Shapes.of(table.extra["shapes"]).array[numbers]

    def note(self, places: np.ndarray, block: Block) -> None:
        """Take over what was found while these rows were read."""
        for i, place in enumerate(places.tolist()):
            self.digests[place], self.shapes[place] = block.digests[i], block.shapes[i]
            if i in block.bad:
                self.bad[str(place)] = block.bad[i]

    def names(self, hashes: Sequence[str]) -> Digests:
        """The digests of the sources by which the rows are found again; "" for bad ones: a later version may read them."""
        good = np.ones(len(hashes), bool)
        good[[int(row) for row in self.bad]] = False
        return Digests.of(hashes).only(good)
