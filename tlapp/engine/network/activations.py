"""What the frozen front computed, remembered: sources of activations at a phase's cut."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tlapp.contracts import Augment
from tlapp.engine.cache import store
from tlapp.engine.network.cut import Cut
from tlapp.engine.network.front import Front, digest

READER = 3
"""Version of what is stored; older entries are not found."""

MEMORY = 256 * 2**20
"""Bytes of activations that are kept in memory; what is larger is read from its file, row by row."""


BLOCK = 128
"""Pictures between two reports of progress."""


class Source(Protocol):
    """Where a phase gets the activations of one stream."""

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        """Arrays (len(rows), ...), one a tensor that crosses the cut; `draw` chooses among random versions (the epoch)."""
        ...


class Pixels:
    """The pictures themselves, uint8, for a network that is not cut."""

    def __init__(self, pixels: Any, rows: np.ndarray):
        self.pixels, self.rows = pixels, rows

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        return (self.pixels.take(self.rows[rows]),)


class Augmented:
    """Pictures changed at random, another way at each draw.

    Args:
        reference: pictures that the augmentation looks at.
        copy: number of the one copy to make, whatever the draw; None for one a draw.
    """

    def __init__(self, pictures: Pixels, augment: Augment, seed: int, reference: Pixels | None = None, copy: int | None = None):
        self.pictures, self.augment, self.seed, self.reference, self.copy = pictures, augment, seed, reference, copy

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        import tensorflow as tf

        (pixels,) = self.pictures.take(rows, draw)
        first = int(self.pictures.rows[rows[0]])
        number = draw if self.copy is None else self.copy
        seed = int(np.random.SeedSequence([self.seed, number, first]).generate_state(1)[0] >> 2)
        if copies := self.augment.views:
            seed += (number - seed) % copies
        others = () if self.reference is None else (tf.constant(self._others(self.reference, seed, len(rows)), tf.float32),)
        copy = {"copy": number} if takes_copy(self.augment.apply) else {}
        return (np.asarray(self.augment.apply(tf.constant(pixels, tf.float32), seed, *others, **copy)),)

    @staticmethod
    def _others(reference: Pixels, seed: int, count: int) -> np.ndarray:
        chosen = np.random.default_rng(seed).integers(len(reference.rows), size=count)
        return reference.take(chosen, 0)[0]


class Computed:
    """The front, run anew at each call."""

    def __init__(self, pictures: Source, front: Front):
        self.pictures, self.front = pictures, front

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        return tuple(self.front(self.pictures.take(rows, draw)[0]))


class Stored:
    """Rows of activations, one table a tensor that crosses; small ones are held in memory."""

    def __init__(self, tables: Sequence[Any], rows: np.ndarray):
        size = sum(len(rows) * row_bytes(table.shape) for table in tables)
        self._held = [table.take(rows) for table in tables] if size <= MEMORY else None
        self._tables, self._rows = tables, rows

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        if self._held is not None:
            return tuple(table[rows] for table in self._held)
        return tuple(table.take(self._rows[rows]) for table in self._tables)


class Views:
    """Several stored copies of each picture; each draw takes one of them for each row, all rows the same where `together`."""

    def __init__(self, views: Sequence[Stored], together: bool):
        self.views, self.together = views, together

    def take(self, rows: np.ndarray, draw: int) -> tuple[np.ndarray, ...]:
        choice = (rows * (0 if self.together else 7919) + draw) % len(self.views)
        parts = [view.take(rows, draw) for view in self.views]
        return tuple(np.stack(tables)[choice, np.arange(len(rows))] for tables in zip(*parts, strict=True))


def takes_copy(apply: Callable[..., Any]) -> bool:
    """Whether an augmentation's function wants to know which copy it makes; those of contract 1.1 read it off the seed."""
    return "copy" in inspect.signature(apply).parameters


def row_bytes(shape: Sequence[int | None]) -> int:
    """Bytes of one row of float32 of that shape, without the batch."""
    return 4 * math.prod(int(side or 1) for side in shape)


class Remembered:
    """Computes what the phases' fronts compute, once, and hands out sources.

    Args:
        graph: functional model; its weights at the time of the call are what counts.
        pixels: every picture of the run, as `store.Rows`.
        key: of the pictures.
        seed: of random augmentation.
        use: "auto" keeps activations, "off" computes them anew each time.
        report: told (task, done, of) while the front is computed.
    """

    def __init__(self, graph: Any, pixels: Any, key: str, seed: int, use: str, report: Callable[[str, int, int], None]):
        self.graph, self.pixels, self.key, self.seed, self.use, self.report = graph, pixels, key, seed, use, report
        self._open: dict[str, Any] = {}
        self._coming: Sequence[tuple[Cut, Augment | None]] = ()

    def fits(self, cut: Cut, copies: int = 1) -> bool:
        """Whether the activations at a cut are kept: caching is on, there is a front, and they take at most half of the limit."""
        size = sum(row_bytes(tensor.shape[1:]) for tensor in cut.boundary) * len(self.pixels) * copies
        return self.use == "auto" and not cut.at_input and size <= store.limit() // 2

    def expect(self, coming: Sequence[tuple[Cut, Augment | None]]) -> None:
        """Compute, in one pass over the pictures, what is not there yet for the cuts that are kept.

        What is augmented comes later, at the first `source` of it, for all of its cuts at once.
        """
        self._coming = coming
        self._prepare([cut for cut, augment in coming if augment is None])

    def _prepare(self, cuts: Sequence[Cut]) -> None:
        tensors = {id(t): t for cut in cuts if self.fits(cut) for t in cut.boundary}
        missing = [tensor for tensor in tensors.values() if self._table(self._key(tensor)) is None]
        if missing:
            self._compute(missing, Pixels(self.pixels, np.arange(len(self.pixels))), [self._key(t) for t in missing])

    def source(self, cut: Cut, rows: np.ndarray, augment: Augment | None = None, reference: np.ndarray | None = None) -> Source:
        """Where a phase with this cut gets the stream that holds `rows` of the pictures; `reference` are the augmentation's."""
        pictures: Source = Pixels(self.pixels, rows)
        if augment is None:
            if self.fits(cut):
                self._prepare([cut])
                return Stored([self._table(self._key(tensor)) for tensor in cut.boundary], rows)
        elif augment.views and self.fits(cut, augment.views):
            copies = [self._view(cut, rows, augment, view, reference) for view in range(augment.views)]
            return Views(copies, augment.per_step == augment.views)
        else:
            pictures = self._augmented(rows, augment, reference)
        return pictures if cut.at_input else Computed(pictures, Front(self.graph, cut.boundary))

    def _augmented(self, rows: np.ndarray, augment: Augment, reference: np.ndarray | None, copy: int | None = None) -> Augmented:
        others = None if reference is None else Pixels(self.pixels, reference)
        return Augmented(Pixels(self.pixels, rows), augment, self.seed, others, copy)

    def _view(self, cut: Cut, rows: np.ndarray, augment: Augment, view: int, reference: np.ndarray | None) -> Stored:
        about = [augment.name, self.seed, view, store.key_of(rows.tolist())]
        if reference is not None:
            about.append(store.key_of(reference.tolist()))
        keys = {id(tensor): self._key(tensor, *about) for tensor in cut.boundary}
        if any(self._table(key) is None for key in keys.values()):
            changed = self._augmented(rows, augment, reference, view)
            tensors = self._wanted(cut, augment)
            self._compute(tensors, changed, [self._key(tensor, *about) for tensor in tensors], len(rows))
        return Stored([self._table(key) for key in keys.values()], np.arange(len(rows)))

    def _wanted(self, cut: Cut, augment: Augment) -> list[Any]:
        """What crosses this cut, and others to come whose pictures are augmented alike."""
        copies = augment.views or 0
        alike = [other for other, its in self._coming if its is not None and (its.name, its.views) == (augment.name, copies)]
        return list({id(t): t for each in (cut, *alike) if self.fits(each, copies) for t in each.boundary}.values())

    def _key(self, tensor: Any, *about: object) -> str:
        return store.key_of(READER, self.key, digest(self.graph, tensor), *about)

    def _table(self, key: str) -> Any:
        """An entry; held open, so that it stays readable when the store lets it go."""
        if key not in self._open and (table := store.find(key)) is not None:
            self._open[key] = table
        return self._open.get(key)

    def _compute(self, tensors: Sequence[Any], source: Source, keys: Sequence[str], count: int | None = None) -> None:
        front, count = Front(self.graph, tensors), count or len(self.pixels)
        with contextlib.ExitStack() as stack:
            writers = [
                stack.enter_context(store.write(key, count, tuple(tensor.shape[1:]), np.float32))
                for key, tensor in zip(keys, tensors, strict=True)
            ]
            for start in range(0, count, BLOCK):
                rows = np.arange(start, min(start + BLOCK, count))
                for writer, values in zip(writers, front(source.take(rows, 0)[0]), strict=True):
                    writer.put(start, values)
                self.report("front", int(rows[-1]) + 1, count)
            for key, writer in zip(keys, writers, strict=True):
                self._open[key] = writer.commit({"what": "activations"})
