"""Small pictures for a page, as data URIs that stand in it, with heat maps of some; their bytes are bounded."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tlapp.contracts import Input
from tlapp.engine.inputs import ahead
from tlapp.engine.visuals.explain import takes_pictures
from tlapp.engine.visuals.heat_map import explained, place_of
from tlapp.engine.visuals.overlay import overlaid, shown
from tlapp.errors import UserError

BUDGET = 4_500_000
"""Characters of all data URIs of a page."""
SMALL, LARGE = 96, 168
"""Pixels of the longer side, of a picture alone and of one beside its heat map."""
BLOCK = 16

Rows = Callable[[Sequence[str]], Iterable[tuple[str, tuple[np.ndarray, ...]]]]
"""The arrays of examples, by their sources, each as the input reads it; what cannot be read is left out."""


class Gallery(NamedTuple):
    """What a report is told of the examples themselves.

    Attributes:
        model: what heat maps are made with; None for none.
        why: why there are none, in a sentence.
    """

    input: Input
    rows: Rows
    model: Any = None
    why: str = ""

    @property
    def has_pictures(self) -> bool:
        """Whether an example is a picture."""
        return takes_pictures(self.input)


class Thumbnails(NamedTuple):
    """Source -> data URI, of pictures and of the same with their heat maps; sources that could not be read; and sentences."""

    plain: Mapping[str, str]
    heat: Mapping[str, str]
    missing: Sequence[str]
    notes: Sequence[str]


NONE = Thumbnails({}, {}, (), ())


def from_files(examples: Input) -> Rows:
    """Rows that are read from the files that the sources name, on every core."""

    def read(sources: Sequence[str]) -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
        for part in ahead.parts(examples, sources):
            for number, source in enumerate(part.good):
                yield source, tuple(array[number] for array in part.arrays)

    return read


def thumbnails(
    gallery: Gallery, explained_first: Sequence[str], others: Sequence[str], shapes: Mapping[str, tuple[int, int]]
) -> Thumbnails:
    """Thumbnails of these sources, the first ones larger and with a heat map each, until the budget is spent.

    Args:
        shapes: width and height of the files, as far as they are known.
    """
    if not gallery.has_pictures:
        return NONE
    first, resize = list(dict.fromkeys(explained_first)), getattr(gallery.input, "resize", "")
    rest = [source for source in dict.fromkeys(others) if source not in set(first)]
    plain: dict[str, str] = {}
    heat: dict[str, str] = {}
    left, notes = BUDGET, []

    def add(place: dict[str, str], source: str, picture: Image.Image) -> bool:
        nonlocal left
        uri = data_uri(picture)
        if len(uri) <= left:
            place[source] = uri
            left -= len(uri)
        return len(uri) <= left

    read: set[str] = set()
    for block in _blocks(gallery.rows(first)):
        read.update(source for source, _ in block)
        heats, why = _heat(gallery, [row for _, row in block])
        notes += [why] if why and why not in notes else []
        for number, (source, row) in enumerate(block):
            picture = shown(gallery.input.show(row), shapes.get(source), resize, LARGE)
            add(plain, source, picture)
            if heats is not None:
                add(heat, source, overlaid(picture, heats[number]))
    for source, row in gallery.rows(rest):
        read.add(source)
        if not add(plain, source, shown(gallery.input.show(row), shapes.get(source), resize, SMALL)):
            notes.append("Some pictures are left out, so that the page stays small.")
            read.update(rest)
            break
    return Thumbnails(plain, heat, [source for source in (*first, *rest) if source not in read], notes)


def _heat(gallery: Gallery, rows: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray | None, str]:
    """Heat maps of rows for what the model answers to them; or None, and why."""
    if gallery.model is None:
        return None, gallery.why
    try:
        return explained(gallery.model, place_of(gallery.model), np.stack([row[0] for row in rows]))[0], ""
    except UserError as error:
        return None, f"No heat maps: {error}."


def _blocks(rows: Iterable[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    block = []
    for row in rows:
        block.append(row)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def data_uri(picture: Image.Image) -> str:
    """A picture as a JPEG that stands in a page."""
    content = io.BytesIO()
    picture.convert("RGB").save(content, "JPEG", quality=78)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
