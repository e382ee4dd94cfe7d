"""What is known of rows beside the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tlapp.engine.cache.earlier import Part
from tlapp.engine.inputs.workers import Block, Shape


class Facts(NamedTuple):
    """What is told of rows beside the rows: the digest of each, row (as text) -> why it is bad, and the shape of each."""

    digests: list[str]
    bad: dict[str, str]
    shapes: list[Shape]

    @classmethod
    def unknown(cls, count: int) -> Facts:
        """Of so many rows, as long as nothing is known of them."""
        return cls([""] * count, {}, [None] * count)

    def copy(self, parts: Sequence[Part]) -> None:
        """Take over what earlier entries tell."""
        for table, numbers, places in parts:
            for row, place in zip(numbers.tolist(), places.tolist(), strict=True):
                self.digests[place], self.shapes[place] = table.extra["digests"][row], table.extra["shapes"][row]

    def note(self, places: np.ndarray, block: Block) -> None:
        """Take over what was found while these rows were read."""
        for i, place in enumerate(places.tolist()):
            self.digests[place], self.shapes[place] = block.digests[i], block.shapes[i]
            if i in block.bad:
                self.bad[str(place)] = block.bad[i]

    def names(self, hashes: Sequence[str]) -> list[str]:
        """The digests of the sources by which the rows are found again; "" for bad ones: a later version may read them."""
        return ["" if str(row) in self.bad else name for row, name in enumerate(hashes)]
