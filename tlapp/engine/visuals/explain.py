"""Explain a run's answers to pictures: a heat map of each, as a PNG beside the picture, and in numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Input
from tlapp.engine.data.reading import Bad
from tlapp.engine.inputs import ahead, sides
from tlapp.engine.runs.saved import SavedRun
from tlapp.engine.visuals.heat_map import Method, Place, explained, place_of
from tlapp.engine.visuals.overlay import in_the_file, peak_of, shown, side_by_side
from tlapp.errors import UserError
from tlapp.words import suggestion

SIDE = 320
"""Pixels of the longer side of a picture in a PNG."""


class Explanation(NamedTuple):
    """What a run answers to a picture, and where it sees what speaks for it.

    Attributes:
        label, probability: the most probable one; "value" and the number, where the answer is a number.
        explained: the class that `heat` is of.
        explained_probability: how probable the run holds it.
        heat: (size, size) float32 from 0 to 1, of the square that the network sees.
        peak: where the heat is greatest, as `tlapp.engine.visuals.overlay.in_the_file`; None where nothing speaks for the class.
        method, maps: how it was computed, and height and width of the maps of features.
        image: the PNG; None where none was asked for.
    """

    file: str
    label: str
    probability: float
    explained: str
    explained_probability: float
    heat: np.ndarray
    peak: dict[str, Any] | None
    method: str
    maps: list[list[int]]
    image: str | None

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it: all but the heat."""
        return {"path": self.file, **{key: value for key, value in self._asdict().items() if key not in ("file", "heat")}}


def explain(
    run: SavedRun, sources: Sequence[str], label: str | None = None, method: Method = "grad-cam", output: Path | None = None,
    bad: Mapping[str, str] | None = None,
) -> Iterator[Explanation | Bad]:  # fmt: skip
    """Explain the answers to pictures, one after the other; one that cannot be read is told as `Bad`.

    Args:
        label: the class to explain; None for the most probable one of each picture.
        output: the folder for the PNGs, made where it is not there; no file in it is written over.
        bad: pictures that are known not to be readable, with the reason.

    Raises:
        UserError: the run takes no pictures, its network has no map, there is no such class, or a PNG cannot be written.
    """
    check_takes_pictures(run)
    number, place = _number_of(run, label), _place(run, method)
    if output is not None:
        _make(output)
    for part in ahead.parts(run.input, sources, bad):
        rows = part.arrays[0]
        classes = None if number is None else [number] * len(rows)
        heat, answers = explained(run.model, place, rows, classes)
        good = iter(zip(rows, heat, answers, strict=True))
        for source in part.sources:
            if source in part.bad:
                yield Bad(source, part.bad[source])
            else:
                yield _explanation(run, place, source, number, output, *next(good))


def check_takes_pictures(run: SavedRun) -> None:
    """Raise a UserError unless an example of the run is a picture."""
    if not takes_pictures(run.input):
        raise UserError(f"{run.folder}: heat maps are for pictures, and this run takes {run.input.noun}s")


def takes_pictures(examples: Input) -> bool:
    """Whether an example is one array of height, width and channels."""
    return [len(tensor.shape) for tensor in examples.tensors] == [3]


def _place(run: SavedRun, method: Method) -> Place:
    try:
        return place_of(run.model, method)
    except UserError as error:
        raise UserError(f"{run.folder}: {error}") from error


def _number_of(run: SavedRun, label: str | None) -> int | None:
    if label is None:
        return None
    if run.labelling.scale:
        raise UserError("the run answers with a number, not with classes; leave the option out", label, option="label")
    if label not in run.labels:
        raise UserError(f"the run knows no such class; {suggestion(label, run.labels)}", label, option="label")
    return run.labels.index(label)


def _explanation(
    run: SavedRun, place: Place, source: str, number: int | None, output: Path | None, row: np.ndarray, heat: np.ndarray,
    answer: np.ndarray,
) -> Explanation:  # fmt: skip
    best = int(answer.argmax())
    chosen = best if number is None else number
    resize, shape, peak = getattr(run.input, "resize", ""), sides(run.input, source), peak_of(heat)
    image = None
    if output is not None:
        picture = shown(run.input.show((row,)), shape, resize, SIDE)
        image = _write(side_by_side(picture, heat), output, run.input.title(source))
    return Explanation(
        source, run.labels[best], float(answer[best]), run.labels[chosen], float(answer[chosen]), heat,
        peak and in_the_file(peak, shape, resize), place.method, place.sizes, image,
    )  # fmt: skip


def _make(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be made: {error.strerror or error}", output, option="output") from error


def _write(picture: Any, folder: Path, title: str) -> str:
    """Write a PNG under a name that is free, whole or not at all."""
    stem = re.sub(r"[^\w.-]+", "-", os.path.splitext(os.path.basename(title))[0]).strip("-.")[:80] or "picture"
    number, path = 1, folder / f"{stem}.png"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    aside = path.with_name(f".{path.name}.tmp")
    try:
        picture.save(aside, "PNG")
        os.replace(aside, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)
    return str(path)
