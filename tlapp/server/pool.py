"""Threads that read and classify examples; a queue that does not grow beyond its limit."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from tlapp.contracts import BadExample
from tlapp.engine.data.reading import Bad
from tlapp.engine.inputs import read_content
from tlapp.engine.runs.predictor import Prediction, Predictor
from tlapp.server.heat_maps import HeatMap
from tlapp.server.limits import Limits, busy
from tlapp.server.model import Model

Answer = Prediction | HeatMap | Bad

NOBODY = Bad("", "nobody waits for it")


class Job:
    """One example that waits for its answer, on an event loop.

    Args:
        top: how many labels are asked for.
        label: the class that a heat map is to be of.
    """

    def __init__(self, content: bytes, loop: asyncio.AbstractEventLoop, top: int | None = None, label: str | None = None):
        self.content, self.top, self.label, self.delivered = content, top, label, False
        self.future: asyncio.Future[Answer] = loop.create_future()
        self.future.add_done_callback(self._forget)

    def _forget(self, future: Any) -> None:
        self.content = b""  # nobody waits any more, and the job may lie in the queue for a while


class Pool:
    """As many threads as the limits say; those that share a predictor take turns in computing, and read at the same time.

    One thread more makes heat maps, so that no prediction waits for them, or for TensorFlow, which the first one loads.

    Attributes:
        waiting: examples that wait or are computed. Only the event loop's thread changes it.
    """

    def __init__(self, model: Model, limits: Limits):
        self.waiting = 0
        self._model, self._limits = model, limits
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._heat_maps: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._turns = {id(predictor): threading.Lock() for predictor in model.predictors}
        each = [model.predictors[number % len(model.predictors)] for number in range(limits.workers)]
        self._threads = [threading.Thread(target=self._work, args=(one,), daemon=True, name="tlapp-serve") for one in each]
        self._threads.append(threading.Thread(target=self._explain, daemon=True, name="tlapp-heat-maps"))

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Let the threads end what they have begun, and end them."""
        self._heat_maps.put(None)
        for _ in self._threads[:-1]:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(self._limits.seconds)

    def ask(self, contents: Sequence[bytes], top: int | None) -> list[asyncio.Future[Answer]]:
        """The answers to come, for the files or texts of examples; a future that is cancelled is not computed.

        Raises:
            Problem: too many wait already.
        """
        loop = asyncio.get_running_loop()
        return self._put(self._jobs, [Job(content, loop, top=top) for content in contents])

    def explain(self, content: bytes, label: str | None) -> list[asyncio.Future[Answer]]:
        """The heat map to come, for the file of a picture; as `ask`.

        Raises:
            Problem: too many wait already.
        """
        return self._put(self._heat_maps, [Job(content, asyncio.get_running_loop(), label=label)])

    def _put(self, line: queue.SimpleQueue[Job | None], jobs: list[Job]) -> list[asyncio.Future[Answer]]:
        if self.waiting + len(jobs) > self._limits.queue:
            raise busy(f"{self.waiting} examples wait already, and the queue holds {self._limits.queue}")
        self.waiting += len(jobs)
        for job in jobs:
            line.put(job)
        return [job.future for job in jobs]

    def _explain(self) -> None:
        while (job := self._heat_maps.get()) is not None:
            content = job.content
            try:
                if job.future.done():
                    self._deliver(job, NOBODY)
                else:
                    self._deliver(job, self._model.heat_maps.of(content, job.label, self._limits.pixels))
            except BadExample as error:
                self._deliver(job, Bad("", error.reason))
            except BaseException as error:  # as in `_work`
                self._deliver(job, error)

    def _work(self, predictor: Predictor) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job, *self._more()]
            try:
                self._answer(predictor, jobs)
            except BaseException as error:  # a request must not wait for a thread that is no more
                for each in jobs:
                    self._deliver(each, error)

    def _more(self) -> Iterator[Job]:
        """What else waits already, as far as a predictor takes it at the same time."""
        with contextlib.suppress(queue.Empty):
            for _ in range(self._model.together - 1):
                job = self._jobs.get_nowait()
                if job is None:
                    self._jobs.put(None)
                    return
                yield job

    def _answer(self, predictor: Predictor, jobs: list[Job]) -> None:
        for top, group in groupby(jobs, key=lambda job: job.top):
            good = [(job, arrays) for job in group if (arrays := self._read(predictor, job))]
            if not good:
                continue
            stacked = [np.stack(parts) for parts in zip(*(arrays for _, arrays in good), strict=True)]
            with self._turns[id(predictor)]:
                answers = predictor.answers_to([""] * len(good), stacked, top)
            for (job, _), answer in zip(good, answers, strict=True):
                self._deliver(job, answer)

    def _read(self, predictor: Predictor, job: Job) -> tuple[Any, ...] | None:
        """The arrays of an example; None of one that is answered already, as nobody waits for it or it cannot be read."""
        content = job.content
        if job.future.done():
            self._deliver(job, NOBODY)
            return None
        try:
            return read_content(predictor.input, content, self._limits.pixels)
        except BadExample as error:
            self._deliver(job, Bad("", error.reason))
            return None

    def _deliver(self, job: Job, answer: Answer | BaseException) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            job.future.get_loop().call_soon_threadsafe(self._set, job, answer)

    def _set(self, job: Job, answer: Answer | BaseException) -> None:
        if job.delivered:  # before another of the same batch failed
            return
        job.delivered, self.waiting = True, self.waiting - 1
        if job.future.done():
            return
        if isinstance(answer, BaseException):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)
