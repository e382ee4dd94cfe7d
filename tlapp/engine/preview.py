"""A sheet of pictures as an augmentation changes them, beside those of the target, for people to look at."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Augment, Input
from tlapp.engine.data.streams import Stream
from tlapp.engine.inputs import unread_by
from tlapp.engine.inputs.examples import Examples
from tlapp.engine.job import Job
from tlapp.engine.network.augmented import Augmented
from tlapp.engine.report import Reporter
from tlapp.engine.run import Run
from tlapp.engine.training.order import in_order
from tlapp.engine.training.style import Styles, candidates, restyled
from tlapp.errors import UserError

TITLES = {"train": "source", "aux": "aux", "target": "target"}
"""Streams that are shown, in order, and what they are called on the sheet."""
DRAWS = 16
"""Ways to change a picture that are tried; the one that changes it most is shown, as some leave most pictures as they are."""
TILE, MARGIN, HEADER, LETTERS = 112, 4, 200, 27
"""Pixels of a picture's side, between two, and of the words before a row; letters in a line of them."""
MARK = "tlapp preview"


class Change(NamedTuple):
    """One way to change the pictures of a stream, in the phases named; `distance` to the target, where it was measured."""

    stream: str
    phases: tuple[str, ...]
    augment: Augment
    distance: float | None
    chosen: bool


class Row(NamedTuple):
    """A row of the sheet.

    Attributes:
        title: in words.
        examples: as the input shows them: pictures of Pillow's, or lines.
        facts: what can be told of them, as JSON can hold it.
    """

    title: str
    examples: Sequence[Any]
    facts: dict[str, Any]


def preview(job: Job, reporter: Reporter, path: Path, count: int) -> dict[str, Any]:
    """Write the sheet of a job's augmentations to a PNG file, whole or not at all.

    Args:
        count: pictures of each stream, at most.

    Returns:
        {"preview": the file, "rows": [{"title", "stream", "images", ...}]}.

    Raises:
        UserError: the strategy changes no pictures, or the file cannot be written.
    """
    _check_free(path)
    run = Run(job, reporter)
    run.load(ahead=False)
    run.graft()
    rows = list(_rows(run, count))
    _write(path, draw(rows))
    return {"preview": str(path), "rows": [{"title": row.title, **row.facts} for row in rows]}


def draw(rows: Sequence[Row]) -> Any:
    """The sheet as a picture of Pillow's; the row of what was chosen is framed."""
    from PIL import Image, ImageDraw, ImageFont

    step, widest = TILE + MARGIN, max(len(row.examples) for row in rows)
    sheet = Image.new("RGB", (HEADER + widest * step + MARGIN, len(rows) * step + MARGIN), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, row in enumerate(rows):
        top = MARGIN + number * step
        pen.multiline_text((2 * MARGIN, top + MARGIN), _in_lines(row.title), "black", font)
        for place, example in enumerate(row.examples):
            corner = (HEADER + place * step, top)
            if isinstance(example, str):
                pen.multiline_text(corner, _in_lines(example, TILE * LETTERS // HEADER), "black", font)
            else:
                how = Image.Resampling.LANCZOS if example.height > TILE else Image.Resampling.NEAREST
                sheet.paste(example.resize((TILE, TILE), how), corner)
        if row.facts.get("chosen"):
            pen.rectangle((1, top - 3, sheet.width - 2, top + TILE + 2), outline="green", width=3)
    return sheet


def _rows(run: Run, count: int) -> Iterator[Row]:
    streams, (changes, plain) = run.dataset.streams, _changes(run)
    if why := unread_by(run.dataset.input).get("augment"):
        raise UserError(f"a preview shows changed pictures: {why}, which nothing changes", run.job.options.data, "data")
    if not changes:
        raise UserError(
            f"changes no {run.dataset.input.noun}s as it is set, so that there is nothing to show; "
            "add option augment=basic, or try option plugin=augment-adapt with option style=auto",
            run.job.options.plugin,
            "plugin",
        )
    for name, title in TITLES.items():
        own = [change for change in changes if change.stream == name]
        if name not in streams or not (own or name in ("train", "target")):
            continue
        stream = streams[name]
        numbers = np.sort(np.random.default_rng(run.job.options.seed).permutation(len(stream))[:count])
        far = plain.get(name)
        words = f"{title}: {len(numbers)} of {len(stream)} {run.dataset.input.noun}s{_far(far)}"
        facts = {"stream": name, "images": [stream.files[i] for i in numbers], "distance": far}
        yield Row(words, _shown(run.dataset.input, stream.examples.take(numbers)), facts)
        yield from (_changed_row(run, change, numbers) for change in own)


def _changes(run: Run) -> tuple[list[Change], dict[str, float]]:
    """What the phases may do to which stream, and the distance of streams as they are, where that is compared."""
    streams = run.dataset.streams
    styles = Styles(run.graph, streams)
    changes: dict[tuple[str, str], Change] = {}
    plain: dict[str, float] = {}
    for phase in (place.phase for place in in_order(run.plan)):
        augments, first, far = candidates(phase, run.job.options), restyled(phase), []
        if phase.augments:
            far = styles.distances(phase)
            plain[first] = far[0]
        for number, augment in enumerate(augments, 1):
            chosen = len(augments) > 1 and number == np.argmin(far[1:]) + 1
            for stream in (name for name in phase.streams if name != augment.reference):
                key = stream, augment.name
                before = changes[key].phases if key in changes else ()
                changes[key] = Change(stream, (*before, phase.name), augment, far[number] if far else None, bool(chosen))
    return list(changes.values()), plain


def _changed_row(run: Run, change: Change, numbers: np.ndarray) -> Row:
    streams, augment = run.dataset.streams, change.augment
    reference = streams[augment.reference] if augment.reference else None
    arrays, share = changed(streams[change.stream], numbers, augment, run.job.options.seed, reference, run.graph.inputs)
    chosen, some = ", chosen" if change.chosen else "", f"; changes about {round(share, 1):.0%}" if share < 1 else ""
    words = f"{', '.join(change.phases)}: {augment.name}{_far(change.distance)}{chosen}{some}"
    facts = {"stream": change.stream, "phases": change.phases, "augment": augment.name, "distance": change.distance}
    return Row(words, _shown(run.dataset.input, arrays), {**facts, "chosen": change.chosen, "changed": share})


def changed(
    stream: Stream, numbers: np.ndarray, augment: Augment, seed: int, reference: Stream | None, symbols: Sequence[Any]
) -> tuple[tuple[np.ndarray, ...], float]:
    """Examples of those numbers, each as the strongest of several draws makes it, and the share of draws that change one.

    `symbols` are the inputs of the network's graph.
    """
    ours = Examples(stream.examples.tables, stream.examples.numbers[numbers])
    theirs = None if reference is None else reference.examples
    source, rows = Augmented(ours, augment, seed, symbols, theirs), np.arange(len(numbers))
    draws = [np.stack(tensors) for tensors in zip(*(source.take(rows, draw) for draw in range(DRAWS)), strict=True)]
    difference = sum(_difference(drawn, plain) for drawn, plain in zip(draws, ours.take(rows), strict=True))
    best = np.argmax(difference, axis=0)
    return tuple(drawn[best, rows] for drawn in draws), float(np.mean(difference > 0))


def _difference(drawn: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """By how much each draw changes each example: (draws, n)."""
    return np.abs(drawn - plain).reshape(*drawn.shape[:2], -1).mean(axis=2)


def _shown(examples: Input, arrays: Sequence[np.ndarray]) -> list[Any]:
    return [examples.show(row) for row in zip(*arrays, strict=True)]


def _in_lines(text: str, letters: int = LETTERS) -> str:
    return "\n".join(textwrap.wrap(text, letters, max_lines=6, placeholder=" ..."))


def _far(distance: float | None) -> str:
    return "" if distance is None else f", distance {distance:.3g}"


def _check_free(path: Path) -> None:
    """Raise a UserError unless a sheet may be written there: over another sheet, but over nothing else."""
    from PIL import Image

    if path.suffix.lower() != ".png":
        raise UserError("the sheet is a PNG file: its name must end in .png", path, option="output")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}", path, option="output")
    if not path.exists():
        _check_writable(path)
        return
    try:
        with Image.open(path) as image:
            ours = image.info.get("Software") == MARK
    except Exception:  # whatever Pillow raises, it is none of ours
        ours = False
    if not ours:
        raise UserError("already exists, and was not made by tlapp preview; choose another name", path, option="output")
    _check_writable(path)


def _check_writable(path: Path) -> None:
    try:
        _aside(path).touch()
        _aside(path).unlink()
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror or error}", path, option="output") from error


def _aside(path: Path) -> Path:
    """Where a sheet is written before it takes its place."""
    return path.with_name(f".{path.name}.tmp")


def _write(path: Path, sheet: Any) -> None:
    from PIL.PngImagePlugin import PngInfo

    about, aside = PngInfo(), _aside(path)
    about.add_text("Software", MARK)
    try:
        sheet.save(aside, "PNG", pnginfo=about)
        os.replace(aside, path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror or error}", path, option="output") from error
    finally:
        aside.unlink(missing_ok=True)
