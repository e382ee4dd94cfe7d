"""What training changes of a network: which weights are no longer the backbone's, and how to put them into it again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tlapp.errors import UserError


class Untouched:
    """The weights of a backbone before training, by their digests."""

    def __init__(self, graph: Any):
        self._variables = list(graph.weights)  # held, so that no other variable takes an id
        self._digests = {id(variable): _digest(variable) for variable in self._variables}

    @property
    def digest(self) -> str:
        """Of all weights, in hexadecimal digits."""
        return hashlib.blake2b(b"".join(self._digests[id(v)] for v in self._variables), digest_size=16).hexdigest()

    def changes(self, model: Any) -> dict[str, np.ndarray]:
        """The weights of a model that are not the backbone's, or no longer as they were; by names that are unique in it."""
        return {name: np.asarray(v) for name, v in named(model) if self._digests.get(id(v)) != _digest(v)}


def named(model: Any) -> Iterator[tuple[str, Any]]:
    """The weights of a model, with names that say where they stand and what they are, such as "0412 head/kernel"."""
    for number, variable in enumerate(model.weights):
        yield f"{number:04d} {variable.path}", variable


def put_back(model: Any, changes: Mapping[str, np.ndarray]) -> None:
    """Put changes into a model that was built as the one that they were taken from.

    Layers without a name of their own are numbered by Keras anew in each process, so that only the place and the shape count.

    Raises:
        UserError: the model has other weights.
    """
    weights = list(model.weights)
    for name, array in changes.items():
        place = name.partition(" ")[0]
        shape = tuple(weights[int(place)].shape) if place.isdecimal() and int(place) < len(weights) else None
        if shape != array.shape:
            raise UserError(f"its weight {name} {array.shape} has no place in the network that its settings build now")
        weights[int(place)].assign(array)


def _digest(variable: Any) -> bytes:
    array = np.ascontiguousarray(variable)
    return hashlib.blake2b(array.tobytes(), digest_size=16).digest()
