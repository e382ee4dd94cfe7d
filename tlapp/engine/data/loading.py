"""A load under way in a thread of its own, while TensorFlow and the backbone load."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from tlapp.engine.inputs.decode import Report

T = TypeVar("T")


class Cancelled(Exception):
    """A load was told to stop."""


class Loading(Generic[T]):
    """A load under way in a thread of its own."""

    def __init__(self, work: Callable[[Report], T], report: Report):
        self._work, self._report, self._cancelled = work, report, False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="tlapp-load")
        self._thread.start()

    def result(self) -> T:
        """Wait for what is being loaded, or raise the error that stopped it."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def cancel(self) -> None:
        """Stop the load, and wait until it has stopped."""
        self._cancelled = True
        self._thread.join()

    def _progress(self, task: str, done: int, total: int) -> None:
        if self._cancelled:
            raise Cancelled
        self._report(task, done, total)

    def _run(self) -> None:
        try:
            self._value = self._work(self._progress)
        except BaseException as error:
            self._error = error
