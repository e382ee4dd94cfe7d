"""Listed pictures to examples: each with its row in the store and its digests; the bad ones told or left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tlapp.engine.cache.rowfile import Rows
from tlapp.engine.data.tables import Item
from tlapp.engine.inputs import decode
from tlapp.engine.inputs.decode import Report
from tlapp.errors import UserError

_TOLD = 5


class Example(NamedTuple):
    """A picture that could be read: its row in the store, and digests of its file's bytes and of its pixels."""

    item: Item
    row: int
    file: str
    pixels: str


class Bad(NamedTuple):
    """A picture that could not be read, and why."""

    path: str
    reason: str


class Reading(NamedTuple):
    """Examples by stream, the rows that hold their pixels, and what was left out."""

    examples: dict[str, list[Example]]
    rows: Rows
    bad: list[Bad]


def read(streams: Mapping[str, list[Item]], size: int, on_bad: str, report: Report) -> Reading:
    """Hash and decode every picture of every stream, copies once.

    Raises:
        UserError: there are bad pictures and `on_bad` is "fail", or there is no other; names five of them.
    """
    items = [item for listed in streams.values() for item in listed]
    files, unreadable = decode.digests([item.path for item in items], report)
    paths = {file: item.path for item, file in zip(reversed(items), reversed(files), strict=True) if file}
    order = [file for file in dict.fromkeys(files) if file]
    rows = decode.pictures([paths[file] for file in order], order, size, report)
    row_of = {file: row for row, file in enumerate(order)}
    examples: dict[str, list[Example]] = {name: [] for name in streams}
    bad = []
    names = (name for name, listed in streams.items() for _ in listed)
    for i, (name, item, file) in enumerate(zip(names, items, files, strict=True)):
        reason = unreadable.get(i) or rows.extra["bad"].get(str(row_of[file]))
        if reason:
            bad.append(Bad(item.path, reason))
        else:
            examples[name].append(Example(item, row_of[file], file, rows.extra["pixels"][row_of[file]]))
    if bad and (on_bad == "fail" or len(bad) == len(items)):
        raise UserError(f"{in_words(bad)}. Mend or remove them, or leave them out with option on_bad=skip")
    return Reading(examples, rows, bad)


def in_words(bad: list[Bad]) -> str:
    """How many pictures are bad, and five of them with the reason."""
    more = f"; and {len(bad) - _TOLD} more" if len(bad) > _TOLD else ""
    told = "; ".join(f"{path}: {reason}" for path, reason in bad[:_TOLD])
    return f"{len(bad)} picture{'s' * (len(bad) > 1)} cannot be read: {told}{more}"
