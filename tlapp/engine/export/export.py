"""An export from its start to its end: write aside, run, measure, and keep only what passes."""

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

from tlapp.contracts import OnDevice
from tlapp.contracts.input_export import Arrays, InputExport
from tlapp.engine.export import card, golden, on_device
from tlapp.engine.export.check import Check, check
from tlapp.engine.export.formats.artifact import Answers
from tlapp.engine.export.formats.format import Material, Questions, Unfit, Way
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.reference import FILES, Reference, contents, load, reference, spread
from tlapp.engine.report import Reporter, Silent
from tlapp.engine.runs.folder import EXPORTS, LABELS, MODEL, label_lines
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError
from tlapp.tensorflow_import import silenced
from tlapp.words import in_a_line, without_folders

REPORT, CARD = "export.json", "README.md"
DISK = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO))


def export(
    run: SavedRun, options: ExportOptions, reporter: Reporter | None = None, learner: OnDevice | None = None
) -> dict[str, Any]:
    """Write a checked artifact of a run.

    Args:
        learner: of the run's head, where option on_device asks for one (`tlapp.engine.teach.learner`).

    Returns:
        What export.json holds, and "folder".

    Raises:
        UserError: it cannot be written, does not convert, or fails its check.
    """
    options.check()
    ways = fit(options, run.input.export)
    reporter = reporter or Silent()
    output = _fresh(run, options)
    names = ("val", "test") if len(ways) > 1 else ("test",)
    examples = load(run, options.data, names, options.writer().calibration(options.quantize), reporter)
    with _disk_errors(output), tempfile.TemporaryDirectory() as scratch:
        references = [reference(run, stream, Path(scratch), FILES) for stream in examples.streams.values()]
        return Export(run, options, reporter, references, examples.calibration, learner).first_that_passes(output)


class Export:
    """One export under way: what the artifacts are compared with, the test last, and where they go."""

    def __init__(
        self, run: SavedRun, options: ExportOptions, reporter: Reporter, references: Sequence[Reference],
        calibration: Arrays | None, learner: OnDevice | None = None,
    ):  # fmt: skip
        self.run, self.options, self.reporter = run, options, reporter
        self.calibration, self.learner, room = calibration, learner, (options.on_device or 0)
        self.references = [each._replace(truth=on_device.wider(each.truth, room)) for each in references]
        self.labels = self.references[-1].truth.classes
        self.format, self.facts = options.writer(), card.facts(run, options)._replace(labels=self.labels)
        self._memo: dict[str, Any] = {}

    def first_that_passes(self, output: Path) -> dict[str, Any]:
        """Try one way of quantising after the other; the first artifact that passes its checks becomes `output`.

        The validation set chooses: a way that falls short there is not taken. The test set judges what was chosen; only where it
        refuses that does the next way get its turn. The last way is no choice, and is only judged.

        Raises:
            UserError: none passes.
        """
        tried: list[dict[str, Any]] = []
        self._compare_with_record()
        ways = fit(self.options, self.run.input.export)
        for way in ways:
            with aside(output) as folder:
                facts = self._write(folder, way)
                for each in self.references if way is not ways[-1] else self.references[-1:]:
                    answers, result = self._judge(folder, facts, way, each)
                    if result.fault:
                        break
                if not result.fault or (self.options.allow_drop and way is ways[-1]):
                    report = {**self._report(facts, result), "tried": tried}
                    facts = facts if result.fault else {**facts, golden.MADE_OF: self.run.digests}
                    self._complete(folder, facts, answers, report)
                    os.rename(folder, output)
                    return {**report, "folder": str(output)}
            tried.append({"quantize": str(way), "on": each.truth.stream, "check": result.to_json()})
            self.reporter.note(f"{way}: {result.fault}")
        raise UserError(f"{self._asked()}: {tried[-1]['check']['fault']}; it was not kept (option allow_drop would)")

    def _write(self, folder: Path, way: Way) -> dict[str, Any]:
        """Write an artifact; return what it is."""
        for name, content in {LABELS: label_lines(self.labels).encode(), **self.run.input.export.files()}.items():
            (folder / name).write_bytes(content)
        material = Material(
            self.run.judging, self.run.input.export, self.labels, folder, self.facts, self.run.labelling.kind,
            self.run.files.file(MODEL), self.calibration, self.learner, self._memo,
        )  # fmt: skip
        try:
            with silenced():
                artifact = self.format.write(material, way)
        except Unfit as error:
            raise UserError(f"{self._asked()}: {error}") from error
        return {
            "format": self.options.format, "quantize": way.quantize, "backbone": without_folders(self.run.settings["backbone"]),
            "labelling": self.run.labelling.kind, "says_unknown": self.run.says_unknown, **artifact,
        }  # fmt: skip

    def _judge(self, folder: Path, facts: Mapping[str, Any], way: Way, each: Reference) -> tuple[Answers, Check]:
        """Run an artifact over examples."""
        path = folder / facts["artifact"]
        with silenced():
            answers = self.format.ask(path, Questions(each.examples, each.files, self.run.open))
        result = check(each.truth, answers, size_of(path), way.quantize != "none", self.options.max_drop)
        if each is self.references[-1]:
            return answers, result
        return answers, result.agreeing(self.format.agreement(self.options.quantize), each.truth)

    def _report(self, facts: Mapping[str, Any], result: Check) -> dict[str, Any]:
        takes = self.run.input.export
        read = takes.report_on(contents(self.run, self.references[-1].sources)) if self.format.phones and takes.contents else {}
        return {
            **facts, **takes.report(), **read, "input": takes.facts(), "labels": list(self.labels),
            **({"thresholds": dict(self.facts.thresholds)} if self.facts.thresholds else {}), "max_drop": self.options.max_drop,
            "passed": not result.fault, "check": result.to_json(), "versions": versions(), "machine": machine(),
        }  # fmt: skip

    def _complete(self, folder: Path, facts: Mapping[str, Any], answers: Answers, report: dict[str, Any]) -> None:
        """Put the golden vectors, the report and the card beside an artifact."""
        test = self.references[-1]
        rows = np.sort(spread(self.run.labelling.groups(test.truth.labels), golden.COUNT))
        contract = {key: facts[key] for key in golden.CONTRACT if key in facts}
        examples = {name: array[rows] for name, array in test.examples.items()}
        unit = self.run.labelling.unit(test.truth.probabilities)
        takes = self.run.input.export
        inside = contents(self.run, [test.sources[row] for row in rows]) if takes.contents else ()
        golden.write(
            folder, contract, takes, examples, answers.probabilities[rows], unit, inside,
            None if answers.known is None else answers.known[rows],
        )  # fmt: skip
        (folder / REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
        (folder / CARD).write_text(card.write(self.run, self.options, report), encoding="utf-8")

    def _compare_with_record(self) -> None:
        """Say so where the model does not do on its test set what the run's metrics say."""
        truth, metric = self.references[-1].truth, self.run.labelling.headline
        recorded, now = (self.run.metrics.get("test") or {}).get(metric), truth.metrics(truth.probabilities)[metric]
        if recorded is not None and abs(recorded - now) > 0.005:
            what = f"{metric} on the test {truth.noun}s is {now:.4f}; the run recorded {recorded:.4f}"
            self.reporter.note(f"{what}. Did they change?")

    def _asked(self) -> str:
        quantize = self.options.quantize
        return f"option format={self.options.format}" + ("" if quantize == "none" else f" option quantize={quantize}")


def fit(options: ExportOptions, takes: InputExport) -> tuple[Way, ...]:
    """The ways of quantising to try that do for models of such examples.

    Raises:
        UserError: none does; says which would.
    """
    ways = options.ways()
    able = tuple(way for way in ways if not takes.unfit(way.quantize))
    if not able:
        raise UserError(takes.unfit(ways[0].quantize), options.quantize, option="quantize")
    return able


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
def _disk_errors(output: Path) -> Iterator[None]:
    """Turn a disk that is full or cannot be written into a UserError."""
    try:
        yield
    except Exception as error:
        if not is_disk(error):
            raise
        places = f"it or the folder for temporary files {tempfile.gettempdir()}"
        raise UserError(f"{places} cannot be written: {in_a_line(error)}", output, option="output") from error


def is_disk(error: Exception) -> bool:
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
    output = Path(options.output) if options.output else run.files.file(EXPORTS) / options.folder_name()
    if output.exists():
        raise UserError("already exists; remove it, or name another", output, option="output")
    return output
