"""Listed items to examples: each with its row in the store and its digests; bad ones are refused or left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from tlapp.contracts import Input
from tlapp.engine.cache.columns import Digests
from tlapp.engine.data.subset import Known, Subset
from tlapp.engine.data.tables import Item
from tlapp.engine.inputs import decode
from tlapp.engine.inputs.decode import Report
from tlapp.engine.inputs.examples import Table
from tlapp.engine.inputs.rows import Use, rows
from tlapp.errors import UserError

_SHOWN = 5


class Bad(NamedTuple):
    """An item that could not be read, and why."""

    source: str
    reason: str
    label: str | None = None
    bytes: int | None = None


class Reading(NamedTuple):
    """Examples by stream, the tables that hold their arrays, and what was left out."""

    examples: dict[str, Subset]
    tables: tuple[Table, ...]
    bad: list[Bad]


def read(
    streams: Mapping[str, list[Item]], examples: Input, on_bad: str, report: Report, data: str = "", use: Use | None = None
) -> Reading:
    """Hash and read every example of every stream, copies once; `data` and `use` as of `inputs.rows`.

    Raises:
        UserError: there are bad ones and `on_bad` is "fail", or there is no other; names five of them.
    """
    items = [item for listed in streams.values() for item in listed]
    files, sizes, unreadable = decode.digests([item.source for item in items], examples, report)
    numbers, firsts = files.numbered()
    tables = rows([items[place].source for place in firsts.tolist()], files.take(firsts), examples, report, data, use)
    contents = Digests.of(tables[0].extra["digests"])
    wrong = {int(row): reason for row, reason in tables[0].extra["bad"].items()}
    good = ~np.isin(numbers, [-1, *wrong])
    bad = [
        Bad(item.source, unreadable.get(i) or wrong[row], item.label, int(sizes[i]) if row >= 0 else None)
        for i, item, row in ((i, items[i], int(numbers[i])) for i in np.flatnonzero(~good).tolist())
    ]
    if bad and (on_bad == "fail" or len(bad) == len(items)):
        sentence = in_words(bad, examples)
        raise UserError(f"{sentence}. Fix or remove them, or set option on_bad=skip to leave them out")
    known = Known(items, numbers, sizes, files, contents, contents.numbered()[0])
    return Reading({name: part.where(good[part.places]) for name, part in known.parts(streams).items()}, tables, bad)


def words_of(paths: Iterable[str | None]) -> str:
    """Folders and tables, as the list of the cache names them."""
    return ", ".join(path if path.startswith("builtin:") else os.path.abspath(path) for path in paths if path)


def in_words(bad: list[Bad], examples: Input) -> str:
    """How many examples are bad, and five of them with the reason."""
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    reasons = "; ".join(f"{examples.title(each.source)}: {each.reason}" for each in bad[:_SHOWN])
    return f"{len(bad)} {examples.noun}{'s' * (len(bad) > 1)} cannot be read: {reasons}{more}"
