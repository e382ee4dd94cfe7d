"""Pictures that show the same but for encoding, size or a margin: neighbours by features, then compared by pixels."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.advice import probe
from tlapp.engine.cache import store
from tlapp.engine.data.streams import Stream
from tlapp.engine.inputs.threads import workers

SIDE = 48
"""Pixels a side of the thumbnails by which near-copies are told."""
NEAR, ALIKE = 4, 0.985
"""How many neighbours of each picture are looked at, and how alike thumbnails of near-copies are (correlation)."""
FEW, SAME = 16, 0.9999
"""From how few pixels a side pictures are copies only where they are the same: so small, different ones look alike."""
Window = tuple[float, float, float]
"""Where a window of a picture begins, from the left and from the top, and how long it is: shares of a side."""
WHOLE = (0.0, 0.0, 1.0)
CROPS = (0.025, 0.05, 0.075, 0.1)
"""What of a side may have been cut off."""
WINDOWS = [(left, top, 1 - cut) for cut in CROPS for left, top in ((cut / 2, cut / 2), (0, 0), (cut, 0), (0, cut), (cut, cut))]
LIKELY = 0.5
"""Cosine of features from which two pictures are compared by pixels at the end of a run."""
GREY = np.array([0.299, 0.587, 0.114])
"""The shares of red, green and blue in the brightness of a picture."""


AT_ONCE = 128
"""Pictures that are in memory with their colours."""
VERSION = 1
"""Raise it whenever `leaks` finds other pairs than before: it is part of what the cache remembers them by."""


class Sample(NamedTuple):
    """Some pictures of a stream: their rows there, the features of each, (n, d), and which have few pixels."""

    stream: Stream
    rows: np.ndarray
    features: np.ndarray
    small: Container[str] = ()

    def source(self, place: int) -> str:
        """Where one comes from."""
        return self.stream.files[self.rows[place]]

    def grey(self, places: Sequence[int]) -> np.ndarray:
        """Some of them without colours, (m, side, side) uint8."""
        return grey(self.stream, self.rows[np.asarray(places)])


def grey(stream: Stream, rows: np.ndarray) -> np.ndarray:
    """Pictures of a stream without colours, (m, side, side) uint8."""
    parts = (stream.examples.take(rows[start : start + AT_ONCE])[0] for start in range(0, len(rows), AT_ONCE))
    return np.concatenate([(part @ GREY).round().astype(np.uint8) for part in parts])


def neighbours(features: np.ndarray, known: np.ndarray, same: bool = False, least: float = -1) -> Iterator[tuple[int, int]]:
    """(row, row of `known`) of the nearest of each row by cosine.

    Args:
        same: both are one set, and no row is its own neighbour.
        least: the cosine of a pair that is worth to be named.
    """
    scale = probe.scale_of(known)
    ours, theirs = (each / np.linalg.norm(each, axis=1, keepdims=True).clip(1e-9) for each in (scale(features), scale(known)))
    for start in range(0, len(ours), 512):
        near = ours[start : start + 512] @ theirs.T
        if same:
            near[np.arange(len(near)), np.arange(start, start + len(near))] = -2
        best = np.argpartition(-near, min(NEAR, near.shape[1]) - 1, axis=1)[:, :NEAR]
        alike = np.take_along_axis(near, best, 1) >= least
        yield from ((start + row, int(best[row, place])) for row, place in np.argwhere(alike).tolist())


def copies(pairs: Sequence[tuple[int, int]], ones: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """(row, row, likeness) of the pairs that show the same, of grey pictures, (n, side, side) uint8."""
    plain_ones = thumbnails(ones, [WHOLE])[:, 0]
    plain_others = plain_ones if others is ones else thumbnails(others, [WHOLE])[:, 0]
    near = [(one, other) for one, other in pairs if float(plain_ones[one] @ plain_others[other]) > 0.6]
    best = [float(plain_ones[one] @ plain_others[other]) for one, other in near]
    for side, pictures, against in ((0, ones, plain_others), (1, others, plain_ones)):  # either may have lost a margin
        of: dict[int, list[int]] = {}
        for number, pair in enumerate(near):
            of.setdefault(pair[side], []).append(number)

        def likeness(picture: int, pictures: Any = pictures, against: Any = against, side: int = side, of: Any = of) -> Any:
            windows = thumbnails(pictures[picture : picture + 1], WINDOWS)[0]
            return (windows @ against[[near[number][1 - side] for number in of[picture]]].T).max(0).tolist()

        with ThreadPoolExecutor(workers()) as pool:  # Pillow resizes outside Python's lock
            for numbers, found in zip(of.values(), pool.map(likeness, of), strict=True):
                for number, value in zip(numbers, found, strict=True):
                    best[number] = max(best[number], value)
    yield from ((one, other, value) for (one, other), value in zip(near, best, strict=True) if value >= ALIKE)


def small(sides: Mapping[str, tuple[int, int]]) -> frozenset[str]:
    """Which pictures have few pixels, by the width and height of each; one whose size is not known, 0, has not."""
    return frozenset(name for name, each in sides.items() if 0 < min(each) < FEW)


def leaks(known: Sample, asked: Sample) -> list[tuple[str, str]]:
    """(picture of `asked`, picture of `known`) where one shows what the other does; for each the first that was found.

    The cache remembers which they were, as those that are compared may have to be decoded for it.
    """
    samples = (known, asked)
    contents = [[sample.stream.contents[row] for row in sample.rows] for sample in samples]
    features = [hashlib.blake2b(sample.features.tobytes(), digest_size=16).hexdigest() for sample in samples]
    few = [[sample.source(place) in sample.small for place in range(len(sample.rows))] for sample in samples]
    key = store.key_of("leaks", VERSION, contents, features, few)
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
    for one, other, likeness in copies(places, asked.grey(ours), known.grey(theirs)):
        picture, copied = ours[one], theirs[other]
        if likeness >= SAME or (asked.source(picture) not in asked.small and known.source(copied) not in known.small):
            first.setdefault(picture, copied)
    return [*first.items()]


def thumbnails(grey: np.ndarray, windows: Sequence[Window]) -> np.ndarray:
    """Windows of pictures, (n, side, side), as vectors of mean 0 and length 1, (n, windows, size)."""
    from PIL import Image

    side = grey.shape[1]
    boxes = [(left * side, top * side, (left + share) * side, (top + share) * side) for left, top, share in windows]
    flat = np.empty((len(grey), len(boxes), SIDE * SIDE), np.float32)
    for row, each in enumerate(grey):
        picture = Image.fromarray(each)
        for number, box in enumerate(boxes):
            flat[row, number] = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)).reshape(-1)
    flat -= flat.mean(2, keepdims=True)
    return flat / np.linalg.norm(flat, axis=2, keepdims=True).clip(1e-6)
