"""What the frozen front computes, remembered: it hands out sources of activations at a phase's cut."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Augment
from tlapp.engine.cache import earlier, rowfile, store
from tlapp.engine.cache.rowfile import Rows
from tlapp.engine.inputs.examples import Examples
from tlapp.engine.network.augmented import Augmented
from tlapp.engine.network.cut import Cut
from tlapp.engine.network.engines import LITERT, TENSORFLOW, engine, front
from tlapp.engine.network.front import digest
from tlapp.engine.network.lengths import is_variable
from tlapp.engine.network.sources import Computed, Source, Stored, Views, stored_dtype

READER = 3
"""Version of what is stored; older entries are not found."""

BLOCK = 128
"""Examples between two reports of progress."""

WINDOW = 64 * 2**20
"""Bytes of activations of examples of different lengths that are computed before they are written."""


class _Progress:
    """Adds up how many examples were computed."""

    def __init__(self, report: Callable[[str, int, int], None], count: int):
        self._report, self._count, self._done = report, count, 0

    def __call__(self, more: int) -> None:
        self._done += more
        self._report("front", self._done, self._count)


class Remembered:
    """Computes what the phases' fronts compute, once, and hands out sources.

    Args:
        graph: functional model; its weights at the time of the call are what counts.
        tables: every example of the run, a table an input of the graph.
        key: of the examples.
        seed: of random augmentation.
        use: "auto" keeps activations, "off" computes them anew each time.
        report: called with (task, done, of) while the front is computed.
        backbone: its ID, for `tlapp cache list`.
    """

    def __init__(
        self, graph: Any, tables: tuple[Rows, ...], key: str, seed: int, use: str, report: Callable[[str, int, int], None],
        backbone: str = "",
    ):  # fmt: skip
        self.graph, self.tables, self.key, self.seed, self.use, self.report = graph, tables, key, seed, use, report
        self.about = {"what": "activations", "data": tables[0].extra.get("data", ""), "backbone": backbone}
        self._inputs = {id(tensor): table for tensor, table in zip(graph.inputs, tables, strict=True)}
        self._open: dict[str, Rows] = {}
        self._coming: Sequence[tuple[Cut, Augment | None]] = ()
        self._engine: str | None = None

    def of(self, graph: Any) -> Remembered:
        """The same for another network of the same examples."""
        return Remembered(graph, self.tables, self.key, self.seed, self.use, self.report, self.about["backbone"])

    @property
    def count(self) -> int:
        """How many examples there are, copies counted once."""
        return len(self.tables[0])

    def fits(self, cut: Cut, copies: int = 1) -> bool:
        """Whether the activations at a cut are kept: caching is on, there is a front, and they take at most half of the limit."""
        size = self.row_bytes(cut) * self.count * copies
        return self.use == "auto" and not cut.at_input and size <= store.limit() // 2

    def row_shape(self, tensor: Any) -> tuple[int, ...]:
        """The shape of a stored row of a symbolic tensor: a side of any length is as long as the examples with their padding."""
        return tuple(int(side or self.tables[0].shape[0]) for side in tensor.shape[1:])

    def row_bytes(self, cut: Cut) -> int:
        """Bytes of an example's activations at a cut."""
        return sum(rowfile.row_bytes(self.row_shape(tensor), stored_dtype(tensor)) for tensor in cut.boundary)

    def expect(self, coming: Sequence[tuple[Cut, Augment | None]]) -> None:
        """Compute, in one pass over the examples, what is not there yet for the cuts that are kept.

        What is augmented comes later, at the first `source` of it, for all of its cuts at once.
        """
        self._coming = coming
        self._prepare([cut for cut, augment in coming if augment is None])

    def _prepare(self, cuts: Sequence[Cut]) -> dict[int, str]:
        """Compute what is not there yet for cuts; the key of each tensor that crosses one of them and is no input, by its id."""
        tensors = {id(t): t for cut in cuts if self.fits(cut) for t in cut.boundary if id(t) not in self._inputs}
        self._choose(list(tensors.values()))
        keys = {name: self._key(tensor) for name, tensor in tensors.items()}  # takes a while: it reads every weight
        missing = [name for name in tensors if self._table(keys[name]) is None]
        if missing:
            every = Examples(self.tables, np.arange(self.count))
            self._compute([tensors[name] for name in missing], every, [keys[name] for name in missing], self.count)
        return keys

    def source(self, cut: Cut, rows: np.ndarray, augment: Augment | None = None, reference: np.ndarray | None = None) -> Source:
        """Where a phase with this cut gets the stream that holds `rows` of the examples; `reference` are the augmentation's."""
        examples: Source = Examples(self.tables, rows)
        if augment is None:
            if self.fits(cut):
                keys = self._prepare([cut])
                return Stored([self._inputs.get(id(tensor)) or self._entry(keys[id(tensor)]) for tensor in cut.boundary], rows)
        elif augment.views and self.fits(cut, augment.views):
            copies = [self._view(cut, rows, augment, view, reference) for view in range(augment.views)]
            return Views(copies, augment.per_step == augment.views)
        else:
            examples = self._augmented(rows, augment, reference)
        return examples if cut.at_input else Computed(examples, front(self.graph, cut.boundary, self.count))

    def copies(self, cut: Cut, rows: np.ndarray, augment: Augment | None, reference: np.ndarray | None = None) -> list[Source]:
        """The examples behind what `source` stores for these arguments, a source a copy; none where it stores nothing."""
        if augment is None:
            return [Examples(self.tables, rows)]
        if augment.views and self.fits(cut, augment.views):
            return [self._augmented(rows, augment, reference, view) for view in range(augment.views)]
        return []

    def examples(self, rows: np.ndarray, augment: Augment, reference: np.ndarray | None = None) -> Source:
        """Examples that are changed anew at each draw."""
        return self._augmented(rows, augment, reference)

    def _augmented(self, rows: np.ndarray, augment: Augment, reference: np.ndarray | None, copy: int | None = None) -> Augmented:
        others = None if reference is None else Examples(self.tables, reference)
        return Augmented(Examples(self.tables, rows), augment, self.seed, self.graph.inputs, others, copy)

    def _view(self, cut: Cut, rows: np.ndarray, augment: Augment, view: int, reference: np.ndarray | None) -> Stored:
        about = [augment.name, self.seed, view, store.key_of(rows.tolist())]
        if reference is not None:
            about.append(store.key_of(reference.tolist()))
        self._choose(cut.boundary)
        keys = {id(tensor): self._key(tensor, *about) for tensor in cut.boundary}
        if any(self._table(key) is None for key in keys.values()):
            changed = self._augmented(rows, augment, reference, view)
            tensors = self._wanted(cut, augment)
            self._compute(tensors, changed, [self._key(tensor, *about) for tensor in tensors], len(rows))
        return Stored([self._entry(key) for key in keys.values()], np.arange(len(rows)))

    def _wanted(self, cut: Cut, augment: Augment) -> list[Any]:
        """What crosses this cut, and others to come whose examples are augmented alike."""
        copies = augment.views or 0
        alike = [other for other, its in self._coming if its is not None and (its.name, its.views) == (augment.name, copies)]
        return list({id(t): t for each in (cut, *alike) if self.fits(each, copies) for t in each.boundary}.values())

    def _choose(self, tensors: Sequence[Any]) -> None:
        """What computes activations is a part of their key, so that it is chosen first."""
        if tensors and self._engine is None:
            self._engine = engine(self.graph, tensors, self.count)

    def _key(self, tensor: Any, *about: object) -> str:
        by = () if self._engine == TENSORFLOW else (self._engine,)
        return store.key_of(READER, self.key, digest(self.graph, tensor), *about, *by)

    def _table(self, key: str) -> Rows | None:
        """An entry; kept open, so that it stays readable when the store lets it go."""
        if key not in self._open and (table := store.find(key)) is not None:
            self._open[key] = table
        return self._open.get(key)

    def _entry(self, key: str) -> Rows:
        """An entry that was computed before."""
        return self._open[key]

    def _block(self, tensors: Sequence[Any]) -> int:
        """How many examples are computed before they are written: many where they differ in length, to find some of the same."""
        if not is_variable(self.graph.inputs):
            return BLOCK
        return max(BLOCK, WINDOW // max(1, sum(rowfile.row_bytes(self.row_shape(each), stored_dtype(each)) for each in tensors)))

    def _compute(self, tensors: Sequence[Any], source: Source, keys: Sequence[str], count: int) -> None:
        families = [self._family(tensor) if isinstance(source, Examples) else None for tensor in tensors]
        known = [earlier.parts(family, self._names) if family else [] for family in families]
        todo = np.unique(np.concatenate([earlier.missing(parts, count) for parts in known]))
        computed = front(self.graph, tensors, self.count) if len(todo) else None
        with contextlib.ExitStack() as stack:
            writers = [
                stack.enter_context(store.write(key, count, self.row_shape(tensor), stored_dtype(tensor)))
                for key, tensor in zip(keys, tensors, strict=True)
            ]
            for writer, parts in zip(writers, known, strict=True):
                earlier.copy(earlier.without(parts, todo), writer)
            block, told = self._block(tensors), _Progress(self.report, len(todo))
            for start in range(0, len(todo), block):
                rows = todo[start : start + block]
                assert computed is not None, "there are rows to compute"
                for writer, values in zip(writers, computed(source.take(rows, 0), told), strict=True):
                    earlier.put(writer, rows, values)
            for key, writer, family in zip(keys, writers, families, strict=True):
                self._open[key] = writer.commit(self.about | (earlier.facts(family, self._names) if family else {}))

    def _family(self, tensor: Any) -> str | None:
        """Of entries whose rows for the same example are the same; None where they can differ by the example's neighbours."""
        if self._engine != LITERT:
            return None
        shapes = [list(each.shape) for each in self.graph.inputs]
        return store.key_of(READER, LITERT, shapes, digest(self.graph, tensor), self.row_shape(tensor))

    @property
    def _names(self) -> list[str]:
        """The digests of the rows of the examples."""
        return list(self.tables[0].extra["digests"])
