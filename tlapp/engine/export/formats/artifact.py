"""What an artifact answers, and how long it takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

WARM, TIMED, BLOCK = 5, 50, 32


class Latency(NamedTuple):
    """Of one example: the median of `n` runs, after warming up."""

    median_ms: float
    n: int
    threads: int


class Answers(NamedTuple):
    """What an artifact says.

    Attributes:
        probabilities: (n, classes).
        labels: the class names that it carries, or that lie beside it.
        others: further endpoint -> probabilities of the same examples, such as of a SavedModel's serve_uint8.
        files: endpoint that takes files -> probabilities of files, such as of a SavedModel's serve_bytes.
        named: the label of each example, of an artifact that names it (a SavedModel).
        known: how well each example is known, (n, 1), known from 0.5 on; None of an artifact that does not say so.
    """

    probabilities: np.ndarray
    labels: tuple[str, ...]
    latency: Latency
    others: Mapping[str, np.ndarray] = {}
    files: Mapping[str, np.ndarray] = {}
    named: tuple[str, ...] = ()
    known: np.ndarray | None = None


def threads() -> int:
    """How many threads an artifact may use: four at most, as on a phone."""
    return min(4, os.cpu_count() or 1)


def timed(call: Callable[[], Any]) -> Latency:
    """How long a call takes."""
    times = []
    for number in range(WARM + TIMED):
        began = time.perf_counter()
        call()
        if number >= WARM:
            times.append(time.perf_counter() - began)
    return Latency(round(float(np.median(times)) * 1000, 3), TIMED, threads())


def blocks(examples: Mapping[str, np.ndarray], size: int = BLOCK) -> Iterator[dict[str, np.ndarray]]:
    """Examples, `size` at a time."""
    for start in range(0, count(examples), size):
        yield {name: array[start : start + size] for name, array in examples.items()}


def count(examples: Mapping[str, np.ndarray]) -> int:
    """How many examples these are."""
    return len(next(iter(examples.values())))
