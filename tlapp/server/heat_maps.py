"""Heat maps of the run behind a model that is served; TensorFlow is loaded for the first one, and not before."""

from __future__ import annotations

import base64
import io
import logging
from pathlib import Path
from typing import Any, NamedTuple

from tlapp.api import load_run
from tlapp.contracts import Input
from tlapp.engine.export import fast, golden
from tlapp.engine.inputs import read_content, sides
from tlapp.engine.runs.predictor import Predictor
from tlapp.engine.runs.saved import SavedRun
from tlapp.engine.visuals.explain import SIDE, takes_pictures
from tlapp.engine.visuals.heat_map import Place, explained, place_of
from tlapp.engine.visuals.overlay import in_the_file, overlaid, peak_of, shown
from tlapp.errors import UserError
from tlapp.server.limits import Problem

ALONE = (
    "an export holds no gradients to make heat maps of; serve the folder of its run, or the export where it lies in that folder"
)


class HeatMap(NamedTuple):
    """Where a run sees what speaks for a class.

    Attributes:
        label: the class; None where the answer is a number, of which the map shows what raises it.
        answer: the class's probability, or the number.
        peak: where the heat is greatest, as `tlapp.engine.visuals.overlay.in_the_file`; None where nothing speaks for it.
        image: a PNG of the picture with the heat over it.
    """

    label: str | None
    answer: float
    peak: dict[str, Any] | None
    method: str
    image: bytes

    def to_json(self) -> dict[str, Any]:
        """As the API answers."""
        own = {"value": self.answer} if self.label is None else {"label": self.label, "probability": self.answer}
        return {**own, "peak": self.peak, "method": self.method, "image": base64.b64encode(self.image).decode()}


class HeatMaps:
    """Makes heat maps, for one thread.

    Args:
        run: whose network is looked into, or why there is none, in a sentence that names no file of this machine.
        examples: what reads the pictures, as for the answers.

    Attributes:
        why: why there are no heat maps; "" where there are.
    """

    def __init__(self, run: SavedRun | str, examples: Input):
        self._input, self._run = examples, None if isinstance(run, str) else run
        self.why = run if isinstance(run, str) else ""
        self._place: Place | None = None

    def of(self, content: bytes, label: str | None, most_pixels: int) -> HeatMap:
        """The heat map of a picture; the first one takes as long as TensorFlow takes to load.

        Args:
            content: what its file holds.
            label: the class to explain; None for the most probable one.

        Raises:
            BadExample: the picture cannot be read, or has more than `most_pixels` pixels.
            Problem: there are no heat maps.
        """
        if self._run is None:
            raise Problem(404, self.why)
        run, shape = self._run, sides(self._input, content)
        rows = read_content(self._input, content, most_pixels)
        place = self._opened(run)
        chosen = None if label is None else [run.labels.index(label)]
        (heat,), (answer,) = explained(run.model, place, rows[0][None], chosen)
        number = int(answer.argmax()) if chosen is None else chosen[0]
        resize, peak = getattr(self._input, "resize", ""), peak_of(heat)
        stream = io.BytesIO()
        overlaid(shown(self._input.show(rows), shape, resize, SIDE), heat).save(stream, "PNG")
        return HeatMap(
            None if run.labelling.scale else run.labels[number], float(answer[number]),
            peak and in_the_file(peak, shape, resize), place.method, stream.getvalue(),
        )  # fmt: skip

    def _opened(self, run: SavedRun) -> Place:
        if self._place is None:
            try:
                model = run.model
            except UserError as error:
                logging.getLogger(__name__).error(str(error))
                self._run, self.why = None, "the model of the run cannot be opened for heat maps; the server's log says why"
                raise Problem(404, self.why) from error
            try:
                self._place = place_of(model)
            except UserError as error:
                self._run, self.why = None, str(error)
                raise Problem(404, self.why) from error
        return self._place


def behind(place: Path, predictor: Predictor, trust: bool) -> HeatMaps:
    """The heat maps of what is served: of the run itself, or of the one in whose folder the export lies. Opens no network."""
    return HeatMaps(_run_behind(place, predictor, trust), predictor.input)


def _run_behind(place: Path, predictor: Predictor, trust: bool) -> SavedRun | str:
    """The run, or why there is none."""
    if not takes_pictures(predictor.input):
        return f"heat maps are for pictures, and this model takes {predictor.input.noun}s"
    if isinstance(predictor, SavedRun):
        return predictor
    export = golden.folder_of(place.resolve())
    files = export and fast.run_of(export)
    if not export or not files:
        return ALONE
    try:
        run = load_run(files.path, trust=trust)
        same = run.labels == tuple(predictor.labels) and _reads_alike(run, predictor)
    except UserError:
        return "the run of this export, which would make heat maps, is not complete"
    if not same or fast.is_old(run, export, golden.read(export)):
        return "the run of this export was changed since, so that its heat maps would not explain these answers"
    return run


def _reads_alike(run: SavedRun, predictor: Predictor) -> bool:
    if not run.files.plan().get("image_size"):  # of an early version: the network would have to be opened to see
        return True
    return run.input.export.facts() == predictor.input.export.facts()
