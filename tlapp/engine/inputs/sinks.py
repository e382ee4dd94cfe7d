"""Who makes use of rows while they are decoded for the first time: in this process, or where others decode them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from tlapp.engine.inputs.workers import Block


class Sink(Protocol):
    """Who makes use of rows while they are decoded."""

    def add(self, rows: np.ndarray, arrays: tuple[np.ndarray, ...]) -> None:
        """The next rows, by their numbers, ascending, and an array (n, ...) a tensor."""
        ...

    def finish(self) -> None:
        """Every row that was to be decoded has been added."""
        ...

    def close(self) -> None:
        """No more is to come, whether it was finished or not."""
        ...


class Elsewhere(Protocol):
    """Who has rows decoded, and made use of, on other machines."""

    @property
    def decoding(self) -> float:
        """Seconds that these machines have decoded, all cores together."""
        ...

    def read(self, places: np.ndarray, wait: Callable[[], None]) -> Iterator[tuple[np.ndarray, Block]]:
        """Have the rows of these numbers, ascending, decoded: some numbers, and what is known of their rows, as they come.

        `wait` is called now and then.
        """
        ...

    def finish(self) -> None:
        """Every row that was to be decoded has been read."""
        ...

    def close(self) -> None:
        """No more is to come, whether it was finished or not."""
        ...
