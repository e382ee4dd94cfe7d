"""An exported model, opened to predict with it: a folder that was exported, or a TFLite file that says all that is needed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts import Input
from tlapp.engine.data.labelling import LABELLINGS, Labelling
from tlapp.engine.export import golden, golden_tasks, metadata
from tlapp.engine.export.facts import AGAIN, TASKS, Tasks, checked
from tlapp.engine.export.formats import named, table
from tlapp.engine.export.formats.format import Asker, Classifier, Format
from tlapp.engine.export.formats.tflite import TFLite, opened
from tlapp.engine.inputs import READERS, Facts, exported_reader
from tlapp.engine.network.known import SAID
from tlapp.engine.runs.folder import LABELS
from tlapp.engine.runs.predictor import Predictor
from tlapp.engine.runs.saved import open_model
from tlapp.errors import TlappError, UserError
from tlapp.untrusted_files import refuse
from tlapp.words import a_few, in_a_line

Stated = Callable[[str], Facts | None]
"""A backbone's ID -> what its provider says of its input."""
Layers = Callable[[str], Mapping[str, type]]
"""A backbone's ID -> the layer classes that a Keras file of it needs beyond Keras's own, by name."""
ALONE = "and so the file alone does not say how an example is read; keep it in the folder of its export, or name the run"


class Exported(Predictor):
    """An artifact of a format, with what its export says of it.

    Args:
        artifact: the file or folder that the format opens.
        labels: the classes.
        facts: as golden.json holds them: "labelling", "input", and "backbone" where it is known.
        stated: asked where examples are read by a plugin's own input.
        layers: asked when a Keras file is opened.
        trust: open it even if it holds what could run code or write files.
        files: gives what a file of the export holds, by its name; None: of the folder in which the artifact lies.
    """

    def __init__(
        self, artifact: Path, format: Format, labels: tuple[str, ...], facts: Mapping[str, Any],
        stated: Stated = lambda backbone: None, layers: Layers = lambda backbone: {}, trust: bool = False,
        files: Callable[[str], bytes] | None = None,
    ):  # fmt: skip
        self.artifact, self.format, self._labels, self._facts = artifact, format, labels, facts
        self._stated, self._layers, self._trust = stated, layers, trust
        self._files = files or (lambda name: artifact.with_name(name).read_bytes())

    @property
    def labels(self) -> tuple[str, ...]:
        return self._labels

    @property
    def labelling(self) -> Labelling:
        return LABELLINGS[self._facts.get("labelling", "one")]

    @cached_property
    def input(self) -> Input:
        stated = (lambda: self._stated(self._facts["backbone"])) if self._knows else lambda: None
        return exported_reader(self._facts["input"], stated, self._files)

    @property
    def says_unknown(self) -> bool:
        return bool(self._facts.get("says_unknown"))

    @property
    def classify(self) -> Classifier:
        """The artifact, loaded: the arrays of n examples by the names of its inputs -> (n, classes).

        Raises:
            UserError: it is dangerous, does not load, or was changed since it was exported.
        """
        ask = self.ask
        return lambda examples: ask(examples)[0]

    @cached_property
    def ask(self) -> Asker:
        """As `classify`, with the output "known" of each example, (n, 1); None of an artifact that has none.

        Raises:
            UserError: it is dangerous, or does not load.
        """
        if not self._trust:
            refuse(self.format.fault(self.artifact), self.artifact)
        golden.check_files(self.artifact.parent, self._own_digest())
        try:
            return self.format.opened(self.artifact, self._open_model)
        except TlappError:
            raise
        except Exception as error:  # runtimes raise whatever they like for a file that they do not know
            raise UserError(f"{self.artifact}: does not load: {in_a_line(error)}") from error

    def _own_digest(self) -> dict[str, str]:
        """The file's name and digest as they were exported, where something beside it says so."""
        name, digests = self.artifact.name, self._facts.get("sha256") or {}
        return {name: digests[name]} if name in digests else {}

    def side_by_side(self, count: int) -> list[Exported]:
        """This and others of the same that compute at the same time, each on a thread; itself alone, where a format does not."""
        if not isinstance(self.format, TFLite):
            return [self]
        others = [copy(self) for _ in range(count)]
        for each in others:
            each.format = copy(self.format)
            each.format.threads = 1  # type: ignore[attr-defined]
        return others

    def check_files(self) -> bool:
        """Check that the files beside it, and its own, are as they were exported; whether anything says how they were.

        Raises:
            UserError: one was changed, or is missing.
        """
        if folder := golden_tasks.folder_of(self.artifact):
            golden.check_files(folder, golden_tasks.read(folder)["sha256"])
            return True
        if not (folder := golden.folder_of(self.artifact)):
            return False
        golden.check_files(folder, golden.read(folder)["sha256"])
        return True

    def probabilities(self, arrays: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        return self._outputs(arrays)[0]

    def judged(self, arrays: np.ndarray | Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        rows, known = self._outputs(arrays)
        return rows, None if known is None else known[:, 0] >= SAID

    def _outputs(self, arrays: np.ndarray | Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        parts, ask = [arrays] if isinstance(arrays, np.ndarray) else arrays, self.ask
        try:
            rows, known = ask(dict(zip(self.input.export.names, parts, strict=True)))
        except TlappError:
            raise
        except Exception as error:  # as above: some files load, and fail when they run
            raise UserError(f"{self.artifact}: does not run, so that it is damaged or altered: {in_a_line(error)}") from error
        if rows.shape != (len(parts[0]), len(self.labels)):
            count = len(self.labels)
            raise UserError(
                f"{self.artifact}: gives {rows.shape[-1]} probabilities, and its {LABELS} names {count} labels; {AGAIN}"
            )
        return rows, known

    @property
    def _knows(self) -> bool:
        return "backbone" in self._facts

    def _open_model(self, path: Path) -> Any:
        return open_model(path, self._layers(self._facts["backbone"]) if self._knows else None, self._trust)


class Output(TFLite):
    """A TFLite file that has several outputs, by one of them."""

    def __init__(self, output: str):
        self._output = output

    def opened(self, artifact: Path, open_model: Any = None) -> Asker:
        return opened(artifact, self._output, self.threads)


def exported(path: Path, stated: Stated, layers: Layers, trust: bool = False, task: str | None = None) -> Exported | None:
    """What a path names of an export: its folder, a file in it, or a TFLite file alone; None where it is none of these.

    Args:
        task: which output, of a file that has one for each of several runs.

    Raises:
        UserError: it is part of an export that does not say enough, or holds several; or it has no such task.
    """
    joint = next((folder for folder in (path, path.parent) if (folder / TASKS).is_file()), None)
    if joint:
        return _one_of(joint, task, trust)
    if folder := golden.folder_of(path):
        facts = golden.read(folder)
        facts = {**facts, "input": facts.get("input") or _of_0_1_0(folder, facts)}
        return Exported(folder / facts["artifact"], named(facts["format"]), golden.labels(folder), facts, stated, layers, trust)
    if path.suffix.lower() == ".tflite" and path.is_file():
        return _alone(path, trust)
    if path.suffix.lower() in {Path(each.file).suffix for each in table().values()} - {""} or (path / "saved_model.pb").is_file():
        raise UserError(f"{path}: there is no {golden.FILE} beside it, {ALONE}")
    inside = sorted(each.parent.name for each in path.glob(f"*/{golden.FILE}"))
    if inside:
        raise UserError(f"{path}: holds several exports; name one of them: {a_few(inside)}")
    return None


def _one_of(folder: Path, task: str | None, trust: bool) -> Exported:
    """One of the outputs of a file that `tlapp.engine.export.several` wrote."""
    try:
        facts = checked((folder / TASKS).read_bytes(), Tasks, folder / TASKS)
    except OSError as error:
        raise UserError(f"{folder / TASKS}: cannot be read: {error.strerror}") from error
    tasks, artifact = facts["tasks"], folder / facts["artifact"]
    name = task or ("" if len(tasks) > 1 else next(iter(tasks)))
    if name not in tasks:
        raise UserError(f"{folder}: answers for several tasks; choose one of {a_few([*tasks])}", task, option="task")
    if not artifact.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{folder / TASKS}: names {facts['artifact']}, which lies outside the folder")
    known = {"input": facts["input"], "labelling": tasks[name].get("labelling", "one")}
    return Exported(artifact, Output(name), tuple(tasks[name]["classes"]), known, trust=trust)


def _alone(path: Path, trust: bool) -> Exported:
    """A TFLite file outside the folder of its export."""
    try:
        labels, facts = metadata.read_labels(path), metadata.read_reading(path)
    except (KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile):
        labels, facts = (), {}
    if not labels:
        raise UserError(f"{path}: holds no {LABELS}, {ALONE}")
    if not facts or facts["input"]["kind"] not in READERS:
        raise UserError(f"{path}: holds no {metadata.INPUT} of an input that is known, {ALONE}")
    return Exported(path, named("tflite"), labels, facts, trust=trust, files=lambda name: metadata.read_file(path, name))


def _of_0_1_0(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What an export says of its input that was written before there were others than squashed pictures."""
    try:
        (pictures,) = golden.examples(folder, facts).values()
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: its examples cannot be read: {in_a_line(error)}; {AGAIN}") from error
    return {"kind": "image", "size": pictures.shape[1], "resize": "squash"}
