"""A front that the workers of a cluster compute, some examples a task.

Pictures travel as the bytes of their files and are decoded where they are computed; all else travels as arrays. A task, on one
core, computes as this process does, example by example or batch by batch, so that both give the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from tlapp.cluster.connection import Cluster
from tlapp.contracts import BadExample
from tlapp.engine.inputs import packed, unpacked
from tlapp.engine.inputs.decode import decode
from tlapp.engine.inputs.examples import Examples
from tlapp.engine.inputs.images import Images
from tlapp.engine.inputs.lazy_rows import LazyRows
from tlapp.engine.inputs.workers import SECONDS, Block
from tlapp.engine.network.engines import LiteFront
from tlapp.engine.network.front import BATCH, Folded, Front
from tlapp.engine.network.sources import Source
from tlapp.errors import UserError
from tlapp.words import in_a_line

AHEAD, ROOM = 2, 1 << 30
"""How many tasks a core there are at a time, and how many bytes of examples they hold, all together."""
TICK = 0.5
"""Seconds after which who waits is asked whether to go on."""
Compute = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
_made: dict[str, tuple[Compute, bytes | Folded]] = {}
"""In a worker: the front that it computed last, by the reference of what it is made of, and that."""


class Done(NamedTuple):
    """What a task gives back.

    Attributes:
        values: the activations, an array (n, ...) a boundary.
        block: what is known of the examples that it decoded, without their arrays; None where it got arrays.
        seconds: of decoding.
        versions: of what computed them, by name.
    """

    values: list[np.ndarray]
    block: Block | None
    seconds: float
    versions: dict[str, str]


class Task(NamedTuple):
    """A task under way: which examples, how many bytes it was given, and whether it decodes them."""

    rows: np.ndarray
    size: int
    decodes: bool


class Result(NamedTuple):
    """Some examples: their numbers, what is known of them where they were decoded, and an array (n, ...) a boundary."""

    rows: np.ndarray
    block: Block | None
    values: list[np.ndarray]


class ClusterFront:
    """Has a cluster compute a front.

    Args:
        front: of examples of a fixed shape.
        source: of the examples.
        block: how many of them are taken from the source at a time, where they travel as arrays that depend on it.

    Attributes:
        decoding: seconds that workers decoded, all cores together.
    """

    def __init__(self, cluster: Cluster, front: Front | LiteFront, source: Source, block: int):
        self._cluster, self._front, self._source, self.decoding = cluster, front, source, 0.0
        self._step = BATCH if isinstance(source, Examples) else block
        table = source.tables[0] if isinstance(source, Examples) else None
        self._table = table if isinstance(table, LazyRows) else None
        self._reader = packed(self._table.examples) if self._table else ""
        work = front.content if isinstance(front, LiteFront) else front.folded
        assert work is not None, "examples are of a fixed shape"
        self._versions = versions(work, self._reader)
        self._task, self._work = cluster.task(compute), [cluster.ray.put(work)]  # in a list: workers fetch it once, not each task

    def computed(self, places: np.ndarray, wait: Callable[[], None]) -> Iterator[Result]:
        """The results of these numbers of examples, ascending, as workers finish them. `wait` is called now and then.

        Raises:
            UserError: a worker has other versions, or fails.
        """
        under_way: dict[Any, Task] = {}
        try:
            for start in range(0, len(places), self._step):
                reference, task = self._start(places[start : start + self._step])
                under_way[reference] = task
                while len(under_way) >= min(AHEAD * self._cluster.cores, 1 + ROOM // (1 + task.size)):
                    yield from self._finished(under_way, wait)
            while under_way:
                yield from self._finished(under_way, wait)
        finally:
            for each in under_way:
                self._cluster.ray.cancel(each)

    def checked(self, places: np.ndarray, wait: Callable[[], None]) -> Iterator[Result]:
        """As `computed`, of examples that are known.

        Raises:
            UserError: a file has changed since it was first read, too.
        """
        for result in self.computed(places, wait):
            if result.block is not None and self._table is not None:
                self._table.check(result.rows, result.block)
            yield result

    def _start(self, rows: np.ndarray) -> tuple[Any, Task]:
        """Start a task; its reference comes first."""
        contents = self._table.contents(rows) if self._table is not None else None
        arrays = self._source.take(rows, 0) if contents is None else ()
        size = sum(map(len, contents or ())) + sum(array.nbytes for array in arrays)
        return self._task(self._work, self._reader, contents, arrays), Task(rows, size, contents is not None)

    def _finished(self, under_way: dict[Any, Task], wait: Callable[[], None]) -> Iterator[Result]:
        """The results of tasks that have ended, if any does soon."""
        ray = self._cluster.ray
        ready, _ = ray.wait([*under_way], num_returns=1, timeout=TICK)
        if ready:
            ready, _ = ray.wait([*under_way], num_returns=len(under_way), timeout=0)
        wait()
        for each in ready:
            yield self._result(each, under_way.pop(each))

    def _result(self, reference: Any, task: Task) -> Result:
        exceptions = self._cluster.ray.exceptions
        try:
            done: Done = self._cluster.ray.get(reference)
        except exceptions.RayTaskError as error:
            raise UserError(f"a worker failed: {in_a_line(error.cause)}", option="on") from error
        except exceptions.RayError:  # its worker was lost, and that of each retry
            self._cluster.lost += len(task.rows)
            return self._here(task)
        for name, ours in self._versions.items():
            if (theirs := done.versions.get(name)) != ours:
                sentence = f"a worker has {name} {theirs}, this machine {ours}; install the same on all machines"
                raise UserError(sentence, option="on")
        self.decoding += done.seconds
        return Result(task.rows, done.block, done.values)

    def _here(self, task: Task) -> Result:
        """The same by this process, whatever it is that workers are lost by."""
        if self._table is None or not task.decodes:
            return Result(task.rows, None, self._front(self._source.take(task.rows, 0)))
        block = self._table.decoded(task.rows)
        return Result(task.rows, block, self._front(block.arrays))


def compute(work: Sequence[Any], reader: str, contents: Sequence[bytes] | None, arrays: Sequence[np.ndarray]) -> Done:
    """A task: activations of examples.

    Args:
        work: the reference of what the front is made of: a TFLite file, or a `Folded`.
        reader: reads the examples, as `packed`.
        contents: what their files hold; None where they come as `arrays`.
    """
    front, about = _front(work[0])
    block, began = None, time.perf_counter()
    if contents is not None:
        arrays, block = _decoded(reader, contents)
    seconds = time.perf_counter() - began
    return Done(front(arrays), block, seconds, versions(about, reader))


def versions(work: bytes | Folded, reader: str) -> dict[str, str]:
    """What activations depend on beside the front and the examples, by name; `reader` is "" where nothing is decoded."""
    engine = "ai-edge-litert" if isinstance(work, bytes) else "tensorflow"
    read = unpacked(reader).key() if reader else {}
    return {**{name: version(name) for name in ("tlapp", engine)}, **{name: str(value) for name, value in read.items()}}


def _front(reference: Any) -> tuple[Compute, bytes | Folded]:
    """The front of what lies behind a reference, made once a process, and what it is made of."""
    name = reference.hex()
    if name not in _made:
        import ray

        _made.clear()
        work = ray.get(reference)
        _made[name] = (LiteFront(work, 1) if isinstance(work, bytes) else work.front()), work
    return _made[name]


def _decoded(reader: str, contents: Sequence[bytes]) -> tuple[Sequence[np.ndarray], Block]:
    """Pictures, and what is known of them; the process ends where one of them takes too long."""
    late = threading.Timer(len(contents) * SECONDS / Images.block, os._exit, [1])
    late.daemon = True
    late.start()
    try:
        block = decode(unpacked(reader), contents)
    except BadExample as error:  # such as for want of memory; Ray cannot carry it over
        raise RuntimeError(error.reason) from error
    finally:
        late.cancel()
    return block.arrays, block._replace(arrays=())
