"""Figures of the server in the text format of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of the histogram's buckets."""


class Figures:
    """Counts requests by path and status, examples by what became of them, and seconds. Only one thread writes."""

    def __init__(self) -> None:
        self.examples: Counter[str] = Counter(answered=0, unreadable=0)
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * len(BOUNDS)
        self._seconds, self._count = 0.0, 0

    def request(self, path: str, status: int) -> None:
        """Count a request."""
        self._requests[path, status] += 1

    def prediction(self, seconds: float) -> None:
        """Count a request for predictions that was answered, and how long it took, its body's arrival included."""
        self._seconds, self._count = self._seconds + seconds, self._count + 1
        for number, bound in enumerate(BOUNDS):
            self._buckets[number] += seconds <= bound

    def text(self, waiting: int) -> str:
        """All of them; `waiting`: examples that wait or are computed."""
        requests = [(f'{{path="{path}",status="{status}"}}', count) for (path, status), count in sorted(self._requests.items())]
        examples = [(f'{{outcome="{outcome}"}}', count) for outcome, count in sorted(self.examples.items())]
        buckets = [(f'_bucket{{le="{bound:g}"}}', count) for bound, count in zip(BOUNDS, self._buckets, strict=True)]
        sums = [('_bucket{le="+Inf"}', self._count), ("_sum", round(self._seconds, 6)), ("_count", self._count)]
        return "".join([
            *_family("tlapp_requests_total", "counter", "Requests, by path and status.", requests),
            *_family("tlapp_examples_total", "counter", "Examples of requests, by what became of them.", examples),
            *_family("tlapp_examples_waiting", "gauge", "Examples that wait or are computed.", [("", waiting)]),
            *_family("tlapp_predict_seconds", "histogram", "Seconds of answered requests for predictions.", [*buckets, *sums]),
        ])  # fmt: skip


def _family(name: str, kind: str, words: str, samples: Iterable[tuple[str, float]]) -> list[str]:
    return [f"# HELP {name} {words}\n# TYPE {name} {kind}\n", *(f"{name}{labels} {value}\n" for labels, value in samples)]
