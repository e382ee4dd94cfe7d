"""A run that answers without TensorFlow: by a float32 export of its present model, where its folder holds one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.export import golden
from tlapp.engine.export.exported import Exported
from tlapp.engine.export.formats.tflite import FORMAT
from tlapp.engine.inputs import needs_tensorflow
from tlapp.engine.inputs.threads import workers
from tlapp.engine.runs.folder import EXPORTS, FAST, SETTINGS, TAUGHT, RunFolder
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError

FAITHFUL = ("none", "float16", "dynamic", "int8")
"""Ways of quantising, the nearest to the trained model first."""


class FastRun(SavedRun):
    """As `SavedRun`; what it says of examples comes from LiteRT where its folder holds a file that says the same.

    The file passed the check of an export, of these files of the run. `keep` makes it, or `tlapp export` did. `model` and
    `outputs` are Keras's.
    """

    @cached_property
    def fast(self) -> Exported | None:
        """The export that answers, loaded; None where there is none of the run as it is, or it does not load here."""
        if not self._can_be_fast:
            return None
        exports = sorted(self.files.file(EXPORTS).glob("*"))
        return next(filter(None, map(self._opened, (self.files.file(FAST), *exports))), None)

    def keep(self, sources: Sequence[str] = ()) -> Path | None:
        """As `Predictor`: the file is made where the folder holds none of the run as it is.

        Nothing is said of what cannot be made; a model that does not convert, or whose file fails its check, is tried once.
        """
        if self.fast or not self._can_be_fast:
            return None
        from tlapp.engine.export.keep import keep

        return keep(self, sources)

    def probabilities(self, arrays: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        return self.fast.probabilities(arrays) if self.fast else super().probabilities(arrays)

    def judged(self, arrays: np.ndarray | Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        return self.fast.judged(arrays) if self.fast else super().judged(arrays)

    @cached_property
    def _can_be_fast(self) -> bool:
        """Whether answers can come without TensorFlow at all."""
        return self.is_finished and not needs_tensorflow(self.input)

    def _opened(self, folder: Path) -> Exported | None:
        with contextlib.suppress(UserError, OSError):
            facts = golden.read(folder)
            if self._says_the_same(facts) and golden.labels(folder) == self.labels:
                golden.check_files(folder, facts["sha256"])
                format = copy(FORMAT)
                format.threads = workers()
                export = Exported(folder / facts["artifact"], format, self.labels, facts)
                _ = export.ask  # loaded now: where it does not load, TensorFlow answers
                return export
        return None

    def _says_the_same(self, facts: Mapping[str, Any]) -> bool:
        return (
            (facts["format"], facts["quantize"], facts.get(golden.MADE_OF)) == (FORMAT.name, "none", self.digests)
            and facts["input"] == json.loads(json.dumps(self.input.export.facts()))
            and facts["labelling"] == self.labelling.kind
        )


def exports(run: RunFolder) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folders of a run's exports that need no TensorFlow, with their facts, the nearest to the trained model first.

    Raises:
        UserError: what one says of itself was altered.
    """
    folder = run.file(EXPORTS)
    if not (run.has(SETTINGS) and folder.is_dir()):
        return
    facts = {each: golden.read(each) for each in sorted(folder.iterdir()) if (each / golden.FILE).is_file()}
    known = {each: fact for each, fact in facts.items() if fact["format"] == FORMAT.name}
    yield from sorted(known.items(), key=lambda each: _distance(each[1]["quantize"]))


def run_of(export: Path) -> RunFolder | None:
    """The run in whose folder an export lies; None where it lies elsewhere."""
    run = RunFolder(export.parent if export.name == FAST else export.parent.parent)
    inside = export.name == FAST or export.parent.name == EXPORTS
    return run if inside and run.has(SETTINGS) else None


def is_old(run: SavedRun, export: Path, facts: Mapping[str, Any]) -> bool:
    """Whether an export is of the run as it was before it was taught; earlier exports do not say what they were made of."""
    if golden.MADE_OF in facts:
        return bool(facts[golden.MADE_OF] != run.digests)
    taught = run.files.file(TAUGHT)
    return taught.exists() and taught.stat().st_mtime > (export / golden.FILE).stat().st_mtime


def _distance(quantize: str) -> int:
    return FAITHFUL.index(quantize) if quantize in FAITHFUL else len(FAITHFUL)
