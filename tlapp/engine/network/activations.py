"""What the frozen front computes, remembered: it hands out sources of activations at a phase's cut."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tlapp.cluster.connection import Cluster
from tlapp.contracts import Augment
from tlapp.engine.cache import earlier, rowfile, store
from tlapp.engine.cache.rowfile import Rows
from tlapp.engine.inputs.examples import Examples, Table
from tlapp.engine.network.augmented import Augmented
from tlapp.engine.network.cluster_front import ClusterFront
from tlapp.engine.network.cut import Cut
from tlapp.engine.network.engines import LITERT, TENSORFLOW, engine, front
from tlapp.engine.network.front import digest
from tlapp.engine.network.front_pass import Entry, FrontPass
from tlapp.engine.network.lengths import is_variable
from tlapp.engine.network.sources import Computed, Source, Stored, Views, stored_dtype
from tlapp.engine.options import RunOptions

READER = 3
"""Version of what is stored; older entries are not found."""

BLOCK = 128
"""Examples between two reports of progress."""

WINDOW = 64 * 2**20
"""Bytes of activations of examples of different lengths that are computed before they are written."""


class Remembered:
    """Computes what the phases' fronts compute, once, and hands out sources.

    Args:
        graph: functional model; its weights at the time of the call are what counts.
        tables: every example of the run, a table an input of the graph.
        options: of the run.
        report: called with (task, done, of) while the front is computed.
        cluster: to compute the front on; None for this process alone.
    """

    def __init__(
        self, graph: Any, tables: tuple[Table, ...], options: RunOptions, report: Callable[[str, int, int], None],
        cluster: Cluster | None = None,
    ):  # fmt: skip
        self.graph, self.tables, self.options, self.report, self.cluster = graph, tables, options, report, cluster
        self.key, self.seed, self.use = tables[0].key, options.seed, options.cache
        self.about = {"what": "activations", "data": tables[0].extra.get("data", ""), "backbone": options.backbone}
        self._inputs = {id(tensor): table for tensor, table in zip(graph.inputs, tables, strict=True)}
        self._open: dict[str, Rows] = {}
        self._coming: Sequence[tuple[Cut, Augment | None]] = ()
        self._engine: str | None = None

    def of(self, graph: Any) -> Remembered:
        """The same for another network of the same examples."""
        return Remembered(graph, self.tables, self.options, self.report, self.cluster)

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

    def passing(self, cuts: Sequence[Cut], is_new: bool) -> FrontPass | None:
        """What computes what is not there yet for cuts while examples are decoded for the first time; None for nothing.

        Args:
            is_new: whether all examples are decoded then, so that each has its own place in a batch.
        """
        _, missing, keys = self._missing(cuts)
        if not missing or (self._engine != LITERT and not is_new):
            return None
        return self._pass(missing, Examples(self.tables, np.arange(self.count)), keys, self.count)

    def _prepare(self, cuts: Sequence[Cut]) -> dict[int, str]:
        """Compute what is not there yet for cuts; the key of each tensor that crosses one of them and is no input, by its id."""
        every, missing, keys = self._missing(cuts)
        if missing:
            self._compute(missing, Examples(self.tables, np.arange(self.count)), keys, self.count)
        return every

    def _missing(self, cuts: Sequence[Cut]) -> tuple[dict[int, str], list[Any], list[str]]:
        """The keys of what crosses the cuts that are kept, and is no input, by id; which of it is not there yet, and its keys."""
        tensors = {id(t): t for cut in cuts if self.fits(cut) for t in cut.boundary if id(t) not in self._inputs}
        self._choose(list(tensors.values()))
        keys = {name: self._key(tensor) for name, tensor in tensors.items()}  # takes a while: it reads every weight
        missing = [name for name in tensors if self._table(keys[name]) is None]
        return keys, [tensors[name] for name in missing], [keys[name] for name in missing]

    def source(self, cut: Cut, rows: np.ndarray, augment: Augment | None = None, reference: np.ndarray | None = None) -> Source:
        """Where a phase with this cut gets the stream that holds `rows` of the examples; `reference` are the augmentation's."""
        examples: Source = Examples(self.tables, rows)
        if augment is None:
            if self.fits(cut):
                keys = self._prepare([cut])
                tables: list[Table] = [self._inputs.get(id(t)) or self._entry(keys[id(t)]) for t in cut.boundary]
                return Stored(tables, rows)
        elif augment.views and self.fits(cut, augment.views):
            copies = [self._view(cut, rows, augment, view, reference) for view in range(augment.views)]
            return Views(copies, augment.per_step == augment.views)
        else:
            examples = self._augmented(rows, augment, reference)
        if cut.at_input:
            return examples
        return Computed(examples, front(self.graph, cut.boundary, self._choose(cut.boundary)))

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
        return Stored([self._entry(key) for key in keys.values()], np.arange(len(rows)), augment.views or 1)

    def _wanted(self, cut: Cut, augment: Augment) -> list[Any]:
        """What crosses this cut, and others to come whose examples are augmented alike."""
        copies = augment.views or 0
        alike = [other for other, its in self._coming if its is not None and (its.name, its.views) == (augment.name, copies)]
        return list({id(t): t for each in (cut, *alike) if self.fits(each, copies) for t in each.boundary}.values())

    def _choose(self, tensors: Sequence[Any]) -> str:
        """What computes activations, chosen by the first that are asked for, before their keys are made: it is a part of them."""
        if tensors and self._engine is None:
            self._engine = engine(self.graph, tensors, self.count)
        return self._engine or TENSORFLOW

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
        with contextlib.closing(self._pass(tensors, source, keys, count)) as going:
            going.finish()

    def _pass(self, tensors: Sequence[Any], source: Source, keys: Sequence[str], count: int) -> FrontPass:
        named = isinstance(source, Examples)
        families = [self._family(tensor) if named else None for tensor in tensors]
        known = [earlier.parts(family, self._names()) if family else [] for family in families]
        entries = [
            Entry(key, self.row_shape(tensor), stored_dtype(tensor), family, parts)
            for key, tensor, family, parts in zip(keys, tensors, families, known, strict=True)
        ]
        spread = partial(ClusterFront, self.cluster) if self.cluster and not is_variable(self.graph.inputs) else None
        return FrontPass(
            partial(front, self.graph, tensors, self._choose(tensors)), source, entries, count, self._block(tensors), self.about,
            self._names, self._open, self.report, spread,
        )  # fmt: skip

    def _family(self, tensor: Any) -> str | None:
        """Of entries whose rows for the same example are the same; None where they can differ by the example's neighbours."""
        if self._engine != LITERT:
            return None
        shapes = [list(each.shape) for each in self.graph.inputs]
        return store.key_of(READER, LITERT, shapes, digest(self.graph, tensor), self.row_shape(tensor))

    def _names(self) -> Sequence[str]:
        """The digests of the rows of the examples."""
        return self.tables[0].extra["digests"]
