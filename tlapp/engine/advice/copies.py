"""Pictures that show the same but for encoding, size or a margin: neighbours by features, then compared by pixels."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.advice import probe
from tlapp.engine.advice.windows import AT_ONCE, SIDE, WINDOWS, Plain, thumbnails
from tlapp.engine.cache import store
from tlapp.engine.data.streams import Stream
from tlapp.engine.inputs.threads import workers

NEAR, AMONG = 4, 8
"""How many neighbours of each picture are looked at, in another set and in its own."""
ALIKE, ALIKE_SMALL, SHARE = 0.985, 0.994, 0.1
"""How alike thumbnails of near-copies are (correlation), also where those of pictures of fewer pixels than them are alike anyway;
and what share of the usual distance between a small picture and its nearest one is left between near-copies."""
COARSELY = 0.6
"""How alike coarse thumbnails are of pairs that are compared closely."""
FEW, SAME = 16, 0.9999
"""From how few pixels a side pictures are copies only where they are the same: so small, different ones look alike."""
LIKELY = 0.5
"""Cosine of features from which two pictures are compared by pixels at the end of a run."""
GREY = np.array([0.299, 0.587, 0.114])
"""The shares of red, green and blue in the brightness of a picture."""

UNKNOWN = (0, 0)
"""The width and height of a picture that are not known."""
KEPT_BYTES = 2**26
"""Pictures without colours are kept where they take no more; else they are decoded again for the windows of some of them."""
VERSION = 3
"""Raise it whenever `leaks` finds other pairs than before: it is part of what the cache remembers them by."""


class Sample(NamedTuple):
    """Some pictures of a stream: their rows there, the features of each, (n, d), and the width and height of each file."""

    stream: Stream
    rows: np.ndarray
    features: np.ndarray
    sides: Mapping[str, tuple[int, int]]

    def source(self, place: int) -> str:
        """Where one comes from."""
        return self.stream.files[self.rows[place]]

    def pixels(self, places: Iterable[int]) -> list[int]:
        """As `fewest`, of some of them."""
        return fewest(self.sides.get(self.source(place), UNKNOWN) for place in places)

    def grey(self, places: Sequence[int]) -> Grey:
        """Some of them."""
        rows = self.rows[np.asarray(places)]
        kept = len(rows) * grey(self.stream, rows[:1]).nbytes <= KEPT_BYTES
        return Grey(grey(self.stream, rows) if kept else Decoded(self.stream, rows), self.pixels(places))


class Decoded:
    """Pictures of a stream without colours, (n, side, side) uint8, each decoded whenever it is asked for."""

    def __init__(self, stream: Stream, rows: np.ndarray):
        self._stream, self._rows = stream, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, places: Any) -> np.ndarray:
        return grey(self._stream, self._rows[places])


class Grey(NamedTuple):
    """Pictures without colours, (n, side, side) uint8, and of each as `fewest` gives it."""

    pictures: np.ndarray | Decoded
    pixels: Sequence[int]


def grey(stream: Stream, rows: np.ndarray) -> np.ndarray:
    """Pictures of a stream without colours, (m, side, side) uint8."""
    parts = (stream.examples.take(rows[start : start + AT_ONCE])[0] for start in range(0, len(rows), AT_ONCE))
    few = (some for part in parts for some in np.array_split(part, -(-len(part) // 16)))  # as float64 they take 8 times as much
    return np.concatenate([(some @ GREY).round().astype(np.uint8) for some in few])


def neighbours(features: np.ndarray, known: np.ndarray, same: bool = False, least: float = -1) -> Iterator[tuple[int, int]]:
    """(row, row of `known`) of the nearest of each row by cosine.

    Args:
        same: both are one set, and no row is its own neighbour.
        least: the cosine of a pair that is worth to be named.
    """
    scale, count = probe.scale_of(known), AMONG if same else NEAR
    ours, theirs = (each / np.linalg.norm(each, axis=1, keepdims=True).clip(1e-9) for each in (scale(features), scale(known)))
    for start in range(0, len(ours), 512):
        near = ours[start : start + 512] @ theirs.T
        if same:
            near[np.arange(len(near)), np.arange(start, start + len(near))] = -2
        best = np.argpartition(-near, min(count, near.shape[1]) - 1, axis=1)[:, :count]
        alike = np.take_along_axis(near, best, 1) >= least
        yield from ((start + row, int(best[row, place])) for row, place in np.argwhere(alike).tolist())


def copies(pairs: Sequence[tuple[int, int]], ones: Grey, others: Grey) -> Iterator[tuple[int, int, float]]:
    """(row, row, likeness) of the pairs that show the same."""
    plain_ones = Plain(ones.pictures)
    plain_others = plain_ones if others is ones else Plain(others.pictures)
    near = [(one, other) for one, other in pairs if float(plain_ones.coarse[one] @ plain_others.coarse[other]) > COARSELY]
    pixels = np.array([min(ones.pixels[one], others.pixels[other]) for one, other in near])
    small = (pixels >= FEW) & (pixels < SIDE)
    best = np.full(len(near), -1.0)
    for side, shown, plain, against in ((0, ones, plain_ones, plain_others), (1, others, plain_others, plain_ones)):
        of: dict[int, list[int]] = {}  # either may have lost a margin
        for number, pair in enumerate(near):
            of.setdefault(pair[side], []).append(number)

        def likeness(
            row: int, picture: np.ndarray, plain: Plain = plain, against: Plain = against, side: int = side, of: Any = of
        ) -> np.ndarray:
            rows = [near[number][1 - side] for number in of[row]]
            windows = thumbnails(picture[None], WINDOWS)
            fine, coarse = (
                np.concatenate([part[0], whole[:, 0]]) @ theirs[:, 0].T
                for part, whole, theirs in zip(windows, plain.of([row]), against.of(rows), strict=True)
            )
            return np.asarray(np.where(small[of[row]], coarse, fine).max(0))

        asked = list(of)
        with ThreadPoolExecutor(workers()) as pool:  # Pillow resizes outside Python's lock
            for start in range(0, len(asked), AT_ONCE):
                some = asked[start : start + AT_ONCE]
                for row, found in zip(some, pool.map(likeness, some, shown.pictures[np.array(some)]), strict=True):
                    best[of[row]] = np.maximum(best[of[row]], found)
    nearest = np.full(len(ones.pictures), np.nan)
    np.fmax.at(nearest, [one for one, _ in pairs], COARSELY)
    np.fmax.at(nearest, [one for one, _ in near], best)
    usual = np.nanmedian(nearest) if pairs else 1.0
    least = np.select([pixels < FEW, small], [SAME, np.clip(1 - SHARE * (1 - usual), ALIKE, ALIKE_SMALL)], ALIKE)
    yield from ((*near[number], float(best[number])) for number in np.flatnonzero(best >= least).tolist())


def fewest(sides: Iterable[tuple[int, int]]) -> list[int]:
    """Of the width and height of each picture the lesser one; many, where they are not known, 0."""
    return [min(each) or SIDE for each in sides]


def leaks(known: Sample, asked: Sample) -> list[tuple[str, str]]:
    """(picture of `asked`, picture of `known`) where one shows what the other does; for each the first that was found.

    The cache remembers which they were, as those that are compared may have to be decoded for it.
    """
    samples = (known, asked)
    contents = [[sample.stream.contents[row] for row in sample.rows] for sample in samples]
    features = [hashlib.blake2b(sample.features.tobytes(), digest_size=16).hexdigest() for sample in samples]
    pixels = [sample.pixels(range(len(sample.rows))) for sample in samples]
    key = store.key_of("leaks", VERSION, contents, features, pixels)
    found = store.recall(key)
    places = _leaks(known, asked) if found is None else json.loads(found)
    if found is None:
        store.remember(key, json.dumps(places).encode(), "leaks")
    first: dict[str, str] = {}
    for one, other in places:
        first.setdefault(asked.source(one), known.source(other))
    return sorted(first.items())


def _leaks(known: Sample, asked: Sample) -> list[tuple[int, int]]:
    """The pairs as places in `asked` and in `known`, in the order in which they are found."""
    pairs = list(neighbours(asked.features, known.features, least=LIKELY))
    if not pairs:
        return []
    ours, theirs = (sorted(set(rows)) for rows in zip(*pairs, strict=True))
    places = [(bisect_left(ours, one), bisect_left(theirs, other)) for one, other in pairs]
    first: dict[int, int] = {}
    for one, other, _ in copies(places, asked.grey(ours), known.grey(theirs)):
        first.setdefault(ours[one], theirs[other])
    return [*first.items()]
