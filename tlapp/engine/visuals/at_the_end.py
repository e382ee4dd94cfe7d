"""The report that a run writes at its end, with what is in memory then, in a small share of the run's time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.data.files import absolute
from tlapp.engine.data.streams import Dataset
from tlapp.engine.report import Reporter
from tlapp.engine.runs.folder import RunFolder
from tlapp.engine.runs.saved import SavedRun
from tlapp.engine.visuals.html_report import write_report
from tlapp.engine.visuals.thumbnails import Gallery, Rows, from_files
from tlapp.words import in_a_line

HEAT_SECONDS = 2.0
"""What the first heat maps of a process take at most, on two cores; then a run has some if that is a tenth of its time."""
SHARE = 0.1
TOO_SHORT = "The run was too short to make heat maps at its end; tlapp report makes them."


def report_run(run: Any, seconds: float) -> None:
    """Write the report of an engine's run that has just finished, unless its options say not to; a fault is a note.

    Args:
        seconds: how long the run took.
    """
    if run.job.options.report == "off":
        return
    long = seconds * SHARE >= HEAT_SECONDS
    model, why = (run.model(), "") if long else (None, TOO_SHORT)
    gallery = Gallery(run.dataset.input, from_dataset(run.dataset), model, why)
    _write(RunFolder(run.record.folder), gallery, run.reporter)


def report_saved(run: SavedRun, reporter: Reporter) -> None:
    """Write the report of a finished run once more; a fault is a note."""
    gallery = Gallery(run.input, from_files(run.input))
    _write(run.files, gallery._replace(model=run.model) if gallery.has_pictures else gallery, reporter)


def _write(files: RunFolder, gallery: Gallery, reporter: Reporter) -> Path | None:
    try:
        return write_report(files, gallery)
    except Exception as error:  # the run is finished, and nothing that goes wrong here may take that from who waited for it
        reporter.note(f"the run is finished, but its report could not be written: {in_a_line(error)}")
        return None


def from_dataset(dataset: Dataset) -> Rows:
    """Rows of the streams that a run is judged by, which it has decoded."""

    def read(sources: Sequence[str]) -> Iterable[tuple[str, tuple[np.ndarray, ...]]]:
        place = {
            absolute(file, dataset.input): (stream, row)
            for stream in (dataset.streams[name] for name in ("val", "test") if name in dataset.streams)
            for row, file in enumerate(stream.files)
        }
        for source in sources:
            if source in place:
                stream, row = place[source]
                yield source, tuple(array[0] for array in stream.examples.take(np.array([row])))

    return read
