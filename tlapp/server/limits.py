"""What a request may ask for, and how a server says that it asks for too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the server takes.

    Attributes:
        bytes: of the body of a request, at most.
        pixels: of a picture, at most.
        seconds: for a body to arrive, and again for its answer.
        queue: requests that are read and examples that wait or are computed, at most of each; more are told to come again.
        examples: in a request, at most.
        workers: examples that are read and computed at the same time.
    """

    bytes: int = 20_000_000
    pixels: int = 50_000_000
    seconds: float = 30.0
    queue: int = 64
    examples: int = 32
    workers: int = 1

    @property
    def held(self) -> int:
        """Bytes of all requests together that are kept in memory, at most."""
        return 8 * self.bytes

    def to_json(self) -> dict[str, float]:
        """What a client can know beforehand."""
        return {"bytes": self.bytes, "pixels": self.pixels, "seconds": self.seconds, "examples": min(self.examples, self.queue)}


class Problem(Exception):
    """A request that is not answered: the status of HTTP, one sentence, and further headers."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None):
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})


def busy(why: str) -> Problem:
    """The server has enough to do."""
    return Problem(503, f"{why}; try again in a second", {"Retry-After": "1"})
