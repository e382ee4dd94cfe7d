"""The story of an export: write aside, run, measure, and hand over only what passes."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.export import card, golden, metadata
from tlapp.engine.export.check import Check, check
from tlapp.engine.export.formats import tflite
from tlapp.engine.export.formats.artifact import Answers, ask
from tlapp.engine.export.formats.table import Ingredients, write
from tlapp.engine.export.options import LADDERS, ExportOptions, Way
from tlapp.engine.export.pictures import Pictures, spread
from tlapp.engine.export.quantize.dynamic import Dynamic
from tlapp.engine.export.quantize.int8 import Selective
from tlapp.engine.export.reference import FILES, Standard, standard
from tlapp.engine.report import Reporter, Silent
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError
from tlapp.words import in_a_line

DISK = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO))


def export(run: SavedRun, options: ExportOptions, reporter: Reporter | None = None) -> dict[str, Any]:
    """Write a checked artifact of a run.

    Returns:
        What export.json holds, and "folder".

    Raises:
        UserError: it cannot be written, does not convert, or fails its check.
    """
    options.check()
    told = reporter or Silent()
    output = _fresh(run, options)
    names = ("val", "test") if len(options.ways()) > 1 else ("test",)
    calibrates = options.quantize in LADDERS
    pictures = Pictures(run, options.data, names, tflite.CALIBRATION if calibrates else 0, told)
    with _room(output), tempfile.TemporaryDirectory() as scratch:
        served = FILES if options.format == "savedmodel" else 0
        standards = [standard(run, stream, Path(scratch), served) for stream in pictures.streams.values()]
        return Work(run, options, told, standards, pictures.calibration).first_that_passes(output)


class Work:
    """One export under way: what the artifacts are held against, the test last, and where they go."""

    def __init__(
        self, run: SavedRun, options: ExportOptions, reporter: Reporter, standards: Sequence[Standard],
        calibration: np.ndarray | None,
    ):  # fmt: skip
        self.run, self.options, self.reporter = run, options, reporter
        self.standards, self.calibration = standards, calibration
        self.facts = card.facts(run, options)
        self._selective: dict[str, Any] = {}

    def first_that_passes(self, output: Path) -> dict[str, Any]:
        """Try one way of quantising after the other; the first artifact that passes its checks becomes `output`.

        The validation pictures choose: a way that falls short there is not taken. The test pictures judge what was chosen; only
        where they refuse it does the next way get its turn. The last way is no choice, and is only judged.

        Raises:
            UserError: none passes.
        """
        tried: list[dict[str, Any]] = []
        self._compare_with_record()
        ways = self.options.ways()
        for way in ways:
            with aside(output) as folder:
                facts = self._write(folder, way)
                for each in self.standards if way is not ways[-1] else self.standards[-1:]:
                    answers, found = self._judge(folder, facts, way, each)
                    if found.fault:
                        break
                if not found.fault or (self.options.allow_drop and way is ways[-1]):
                    report = {**self._report(facts, found), "tried": tried}
                    self._complete(folder, facts, answers, report)
                    os.rename(folder, output)
                    return {**report, "folder": str(output)}
            tried.append({"quantize": str(way), "on": each.truth.stream, "check": found.to_json()})
            self.reporter.note(f"{way}: {found.fault}")
        raise UserError(f"{self._asked()}: {tried[-1]['check']['fault']}; it was not kept (option allow_drop would)")

    def selective(self, quantize: str) -> Any:
        """The network of which some layers can stay in float: made once, as measuring its layers takes longest."""
        assert self.calibration is not None, "what has a choice is calibrated"
        if quantize not in self._selective:
            self._selective[quantize] = {"int8": Selective, "dynamic": Dynamic}[quantize](self.run.model, self.calibration)
        return self._selective[quantize]

    def _write(self, folder: Path, way: Way) -> dict[str, Any]:
        """Write an artifact; return what it is."""
        (folder / metadata.LABELS).write_bytes(metadata.lines(self.run.labels))
        given = Ingredients(self.run, self.run.model, folder, self.calibration, self.facts, self.selective)
        extra = write(self.options.format, way, given)
        return {
            "format": self.options.format, "quantize": way.quantize, "backbone": self.run.settings["backbone"],
            "labelling": self.run.labelling.kind, **extra,
        }  # fmt: skip

    def _judge(self, folder: Path, facts: Mapping[str, Any], way: Way, given: Standard) -> tuple[Answers, Check]:
        """Run an artifact over pictures."""
        path = folder / facts["artifact"]
        answers = ask(self.options.format, path, given.pictures, given.files, self.run.open)
        found = check(given.truth, answers, size_of(path), way.quantize != "none", self.options.max_drop)
        chooses = given is not self.standards[-1]
        return answers, found.agreeing(self.options.agreement(), given.truth.stream) if chooses else found

    def _report(self, facts: Mapping[str, Any], found: Check) -> dict[str, Any]:
        return {
            **facts, "image_size": self.run.image_size, "labels": list(self.run.labels),
            "max_drop": self.options.max_drop,
            "passed": not found.fault, "check": found.to_json(), "versions": versions(), "machine": machine(),
        }  # fmt: skip

    def _complete(self, folder: Path, facts: Mapping[str, Any], answers: Answers, report: dict[str, Any]) -> None:
        """Put the golden vectors, the report and the card beside an artifact."""
        test = self.standards[-1]
        rows = np.sort(spread(self.run.labelling.groups(test.truth.labels), golden.COUNT))
        kept = {key: facts[key] for key in ("format", "quantize", "artifact", "backbone", "labelling")}
        golden.write(folder, kept, test.pictures[rows], answers.probabilities[rows])
        (folder / "export.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        (folder / "README.md").write_text(card.write(self.run, self.options, report), encoding="utf-8")

    def _compare_with_record(self) -> None:
        """Tell where the model does not do on its test pictures what metrics.json says."""
        recorded = (self.run.metrics.get("test") or {}).get("accuracy")
        truth = self.standards[-1].truth
        now = float((truth.answers(truth.probabilities) == truth.hot).all(1).mean())
        if recorded is not None and abs(recorded - now) > 0.005:
            self.reporter.note(f"accuracy on the test pictures is {now:.4f}; the run recorded {recorded:.4f}. Did they change?")

    def _asked(self) -> str:
        quantize = self.options.quantize
        return f"option format={self.options.format}" + ("" if quantize == "none" else f" option quantize={quantize}")


@contextmanager
def aside(output: Path) -> Iterator[Path]:
    """A folder beside `output` to write in; what is still there afterwards is removed."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", output, option="output") from error
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _room(output: Path) -> Iterator[None]:
    """Turn a disk that is full or cannot be written into a UserError."""
    try:
        yield
    except Exception as error:
        if not _is_disk(error):
            raise
        places = f"it or the folder for temporary files {tempfile.gettempdir()}"
        raise UserError(f"{places} cannot be written: {in_a_line(error)}", output, option="output") from error


def _is_disk(error: Exception) -> bool:
    """Whether an error says that a disk is full or cannot be written, in the words of Python, TensorFlow or h5py."""
    if isinstance(error, OSError):
        return True
    known = error.__class__.__module__.startswith(("tensorflow", "builtins"))
    return known and any(reason in str(error) for reason in DISK)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def versions() -> dict[str, str]:
    """Of what wrote the artifact."""
    return {name: version(name) for name in ("tlapp", "tensorflow", "keras", "ai-edge-litert")}


def machine() -> dict[str, Any]:
    """Where the latency was measured."""
    return {"processor": platform.machine(), "system": platform.system(), "cores": os.cpu_count()}


def _fresh(run: SavedRun, options: ExportOptions) -> Path:
    output = Path(options.output) if options.output else run.folder / "export" / options.folder_name()
    if output.exists():
        raise UserError("already exists; remove it, or name another", output, option="output")
    return output
