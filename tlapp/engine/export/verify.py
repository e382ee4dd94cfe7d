"""Replay the golden vectors of an artifact, wherever it is now: neither the run nor its data are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.export import golden, golden_tasks
from tlapp.engine.export.check import names_wrongly
from tlapp.engine.export.facts import AGAIN
from tlapp.engine.export.formats import named
from tlapp.engine.export.formats.format import Questions
from tlapp.engine.runs.folder import LABELS, METRICS, SETTINGS, RunFolder
from tlapp.engine.runs.saved import open_model
from tlapp.errors import TlappError, UserError
from tlapp.tensorflow_import import silenced
from tlapp.untrusted_files import refuse
from tlapp.words import in_a_line

KNOWN_TOLERANCE = 4.0
"""How far the output `known` may differ, in tolerances: it is a distance in deviations, magnified beside a probability."""


def verify(
    artifact: str | Path, layers: Callable[[str], Mapping[str, type]] | None = None, trust: bool = False
) -> dict[str, Any]:
    """Check that an exported folder, or a file in it, is as it was exported and answers as it did.

    Args:
        layers: a backbone's ID -> the layer classes that a Keras file of it needs beyond Keras's own, by name.
        trust: run it even if it holds what could run code or write files.

    Returns:
        format, quantize, images, largest_difference, tolerance and latency.

    Raises:
        UserError: it is not an export, a file of it was changed or is missing, it is dangerous, or it answers otherwise.
    """
    if several := golden_tasks.folder_of(Path(artifact)):
        return golden_tasks.verify(several)
    folder = _folder(Path(artifact))
    facts = golden.read(folder)
    golden.check_files(folder, facts["sha256"])
    expected = np.array([each["probabilities"] for each in facts["vectors"]])
    files = [str(folder / each["file"]) for each in facts["vectors"]]
    path, format = folder / facts["artifact"], named(facts["format"])
    if not trust:
        refuse(format.fault(path), path)

    def opened(path: Path) -> Any:
        return open_model(path, layers(facts["backbone"]) if layers and "backbone" in facts else None, trust)

    try:
        with silenced():
            answers = format.ask(path, Questions(golden.examples(folder, facts), files, opened))
    except TlappError:
        raise
    except Exception as error:  # runtimes raise whatever they like for a file that they do not know
        raise UserError(f"{path}: does not run, so that it is damaged or altered: {in_a_line(error)}") from error
    labels = golden.labels(folder)
    if answers.labels != labels:
        raise UserError(f"{path}: its labels are others than those in {folder / LABELS}; {AGAIN}")
    if answers.probabilities.shape != expected.shape or len(labels) != expected.shape[1]:
        numbers = f"gives {answers.probabilities.shape[-1]} probabilities, and {golden.FILE} and {LABELS} tell of others"
        raise UserError(f"{path}: {numbers}; {AGAIN}")
    if fault := names_wrongly(answers, LABELLINGS[facts.get("labelling", "one")]):
        raise UserError(f"{artifact}: {fault}")
    _check_known(path, answers.known, facts)
    largest = 0.0
    for endpoint, probabilities in {"": answers.probabilities, **answers.others, **answers.files}.items():
        difference = np.abs(probabilities - expected).max(1)
        largest = max(largest, float(difference.max()))
        if not (difference <= facts["tolerance"]).all():
            wrong = facts["vectors"][int(difference.argmax())]["file"]
            what = f"endpoint {endpoint}: " if endpoint else ""
            raise UserError(
                f"{artifact}: {what}{wrong}: an answer differs by {difference.max():.4f} from what the artifact gave "
                f"when it was exported; at most {facts['tolerance']:g} is due to another machine"
            )
    return {
        "format": facts["format"], "quantize": facts["quantize"], "images": len(expected),
        "noun": facts.get("input", {}).get("noun", "picture"), "largest_difference": largest,
        "tolerance": facts["tolerance"], "latency": answers.latency._asdict(),
    }  # fmt: skip


def _check_known(path: Path, known: np.ndarray | None, facts: Mapping[str, Any]) -> None:
    """Check that the output `known` says what it said.

    Raises:
        UserError: it says otherwise, or is missing.
    """
    expected = [each.get("known") for each in facts["vectors"]]
    if all(each is None for each in expected):
        return
    if known is None or None in expected or len(known) != len(expected):
        raise UserError(f"{path}: has no output `known` for each example, and {golden.FILE} tells of one; {AGAIN}")
    difference = float(np.abs(known[:, 0] - np.array(expected)).max())
    if difference > KNOWN_TOLERANCE * facts["tolerance"]:
        raise UserError(f"{path}: its output `known` differs by {difference:.4f} from what it gave when it was exported")


def _folder(path: Path) -> Path:
    """The exported folder that a path means: it, or what it lies in."""
    for folder in (path, path.parent):
        if (folder / golden.FILE).is_file():
            return folder
    files = RunFolder(path)
    if files.has(METRICS):
        raise UserError(f"{path}: is a run, not an export; `tlapp export {path}` makes one")
    if files.has(SETTINGS):
        error = UserError(f"{path}: is a run that did not finish, not an export; `tlapp export {path}` makes one once it has")
        error.resumable = path
        raise error
    raise UserError(f"{path}: is not an export: a folder that `tlapp export` wrote holds {golden.FILE}")
