"""Listed items to examples: each with its row in the store and its digests; bad ones are refused or left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tlapp.contracts import Input
from tlapp.engine.data.tables import Item
from tlapp.engine.inputs import decode
from tlapp.engine.inputs.decode import Report
from tlapp.engine.inputs.examples import Table
from tlapp.engine.inputs.rows import Use, rows
from tlapp.errors import UserError

_SHOWN = 5


class Example(NamedTuple):
    """An item that could be read: its row in the store, digests of its source's bytes and of its arrays, and how many bytes."""

    item: Item
    row: int
    file: str
    content: str
    bytes: int | None = None


class Bad(NamedTuple):
    """An item that could not be read, and why."""

    source: str
    reason: str
    label: str | None = None
    bytes: int | None = None


class Reading(NamedTuple):
    """Examples by stream, the tables that hold their arrays, and what was left out."""

    examples: dict[str, list[Example]]
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
    hashes, sizes, unreadable = decode.digests([item.source for item in items], examples, report)
    sources = {digest: item.source for item, digest in zip(reversed(items), reversed(hashes), strict=True) if digest}
    order = [digest for digest in dict.fromkeys(hashes) if digest]
    tables = rows([sources[digest] for digest in order], order, examples, report, data, use)
    row_of, extra = {digest: row for row, digest in enumerate(order)}, tables[0].extra
    good: dict[str, list[Example]] = {name: [] for name in streams}
    bad = []
    names = (name for name, listed in streams.items() for _ in listed)
    for i, (name, item, digest) in enumerate(zip(names, items, hashes, strict=True)):
        reason = unreadable.get(i) or extra["bad"].get(str(row_of[digest]))
        if reason:
            bad.append(Bad(item.source, reason, item.label, sizes[i] if digest else None))
        else:
            good[name].append(Example(item, row_of[digest], digest, extra["digests"][row_of[digest]], sizes[i]))
    if bad and (on_bad == "fail" or len(bad) == len(items)):
        sentence = in_words(bad, examples)
        raise UserError(f"{sentence}. Fix or remove them, or set option on_bad=skip to leave them out")
    return Reading(good, tables, bad)


def words_of(paths: Iterable[str | None]) -> str:
    """Folders and tables, as the list of the cache names them."""
    return ", ".join(path if path.startswith("builtin:") else os.path.abspath(path) for path in paths if path)


def in_words(bad: list[Bad], examples: Input) -> str:
    """How many examples are bad, and five of them with the reason."""
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    reasons = "; ".join(f"{examples.title(each.source)}: {each.reason}" for each in bad[:_SHOWN])
    return f"{len(bad)} {examples.noun}{'s' * (len(bad) > 1)} cannot be read: {reasons}{more}"
