"""Rows that earlier entries hold: a set that grows, or overlaps with another, pays for what is new."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.cache import rowfile, store
from tlapp.engine.cache.columns import Digests
from tlapp.engine.cache.rowfile import Rows, Writer

MOST = 8
"""Entries that are looked into, those of most rows first."""
STEP = 16 << 20
"""Bytes that are copied at a time."""


class Part(NamedTuple):
    """Rows of an earlier entry, and where they belong: two arrays (n,) of row numbers, the second ascending."""

    table: Rows
    rows: np.ndarray
    places: np.ndarray


def facts(family: str, names: Sequence[str]) -> dict[str, Any]:
    """What an entry's `extra` must hold for its rows to be found again.

    Args:
        family: of entries whose rows of the same name are the same.
        names: of the rows; "" for one that is never to be taken from here.
    """
    return {"family": family, "names": names}


def parts(family: str, names: Sequence[str]) -> list[Part]:
    """Where earlier entries of a family hold rows of these names; each place is in one part at most."""
    wanted = Digests.of(names)
    left, found = wanted.known, list[Part]()
    for key in _family(family):
        if not left.any() or len(found) == MOST:
            break
        if (table := store.find(key)) is not None:
            rows = wanted.places_in(Digests.of(table.extra["names"]))
            places = np.flatnonzero(left & (rows >= 0))
            if len(places):
                found.append(Part(table, rows[places], places))
            left[places] = False
    return found


def missing(parts: Sequence[Part], count: int) -> np.ndarray:
    """The places, ascending, of so many rows that no part has."""
    return np.setdiff1d(np.arange(count), np.concatenate([[], *(part.places for part in parts)]).astype(np.int64))


def without(parts: Sequence[Part], places: np.ndarray) -> list[Part]:
    """The parts without what belongs to these places."""
    kept = [(part, ~np.isin(part.places, places)) for part in parts]
    return [Part(part.table, part.rows[keep], part.places[keep]) for part, keep in kept]


def copy(parts: Sequence[Part], writer: Writer) -> None:
    """Write the rows of the parts to their places."""
    step = max(1, STEP // max(1, rowfile.row_bytes(writer.shape, writer.dtype)))
    for table, rows, places in parts:
        for start in range(0, len(rows), step):
            put(writer, places[start : start + step], table.take(rows[start : start + step]))


def put(writer: Writer, places: np.ndarray, array: np.ndarray) -> None:
    """Write rows, (n, ...), to ascending places that need not be neighbours."""
    bounds = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
    for begin, end in itertools.pairwise(bounds):
        if end > begin:
            writer.put(int(places[begin]), array[begin:end])


def _family(family: str) -> Iterator[str]:
    """The keys of the entries of a family, those of most rows first."""
    found = []
    for path in store.folder().glob("*.rows"):
        with contextlib.suppress(OSError), open(path, "rb") as file:  # another process may remove it meanwhile
            header = rowfile.read_header(file.fileno())
            if header and header["extra"].get("family") == family:
                found.append((int(header["rows"]), os.fstat(file.fileno()).st_mtime, path.stem))
    yield from (key for _, _, key in sorted(found, reverse=True))
