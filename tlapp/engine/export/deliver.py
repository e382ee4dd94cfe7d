"""The story of an export: write aside, run, measure, and hand over only what passes."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.export import card, golden, metadata, tflite
from tlapp.engine.export.artifact import ask
from tlapp.engine.export.check import Truth, check
from tlapp.engine.export.formats import Ingredients, write
from tlapp.engine.export.options import ExportOptions, Way
from tlapp.engine.export.pictures import Pictures, spread
from tlapp.engine.export.selective import Selective
from tlapp.engine.report import Reporter, Silent
from tlapp.engine.saved import BATCH, SavedRun
from tlapp.errors import UserError, in_a_line

DISK = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO))
FILES = 100
"""Picture files that a SavedModel's endpoint for files is tried on."""
FILE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


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
    calibrates = options.quantize in ("int8", "auto")
    pictures = Pictures(run, options.data, tflite.CALIBRATION if calibrates else 0, told)
    with _room(output), tempfile.TemporaryDirectory() as scratch:
        test = pictures.write_test(Path(scratch) / "test.npy")
        return Work(run, options, told, pictures, test).first_that_passes(output)


class Work:
    """One export under way: what the artifacts are held against, and where they go."""

    def __init__(self, run: SavedRun, options: ExportOptions, reporter: Reporter, pictures: Pictures, test: np.ndarray):
        self.run, self.options, self.reporter = run, options, reporter
        self.test, self.calibration = test, pictures.calibration
        served = options.format == "savedmodel"
        rows = [i for i, file in enumerate(pictures.test.files) if served and file.lower().endswith(FILE_SUFFIXES)][:FILES]
        self.files = [pictures.test.files[i] for i in rows]
        found = np.concatenate([run.probabilities(test[i : i + BATCH]) for i in range(0, len(test), BATCH)])
        self.truth = Truth(found, pictures.labels, run.labels, found[rows] if rows else None)
        self.facts = card.facts(run, options)

    def first_that_passes(self, output: Path) -> dict[str, Any]:
        """Try one way of quantising after the other; the first artifact that passes its check becomes `output`.

        Raises:
            UserError: none passes.
        """
        tried: list[dict[str, Any]] = []
        self._compare_with_record()
        ways = self.options.ways()
        for way in ways:
            with aside(output) as folder:
                report = {**self._attempt(folder, way), "tried": tried}
                if report["passed"] or (self.options.allow_drop and way is ways[-1]):
                    self._complete(folder, report)
                    os.rename(folder, output)
                    return {**report, "folder": str(output)}
            tried.append({"quantize": str(way), "check": report["check"]})
            self.reporter.note(f"{way}: {report['check']['fault']}")
        raise UserError(f"{self._asked()}: {tried[-1]['check']['fault']}; it was not kept (--allow-drop would)")

    @cached_property
    def selective(self) -> Selective:
        """The network calibrated for selective int8: made once, as calibrating takes longest."""
        assert self.calibration is not None, "int8 is calibrated"
        return Selective(self.run.model, self.calibration)

    def _attempt(self, folder: Path, way: Way) -> dict[str, Any]:
        """Write an artifact and run it over the test pictures."""
        (folder / metadata.LABELS).write_bytes(metadata.lines(self.run.labels))
        given = Ingredients(self.run, self.run.model, folder, self.calibration, self.facts, lambda: self.selective)
        extra = write(self.options.format, way, given)
        facts = {"format": self.options.format, "quantize": way.quantize, "artifact": extra["artifact"]}
        path = folder / extra["artifact"]
        answers = ask(self.options.format, path, self.test, self.files, self.run.open)
        found = check(self.truth, answers, size_of(path), way.quantize != "none", self.options.max_drop)
        rows = np.sort(spread(self.truth.labels, golden.COUNT))
        golden.write(folder, facts, self.test[rows], answers.probabilities[rows])
        return {
            **facts, **extra, "image_size": self.run.image_size, "labels": list(self.run.labels),
            "max_drop": self.options.max_drop,
            "passed": not found.fault, "check": found.to_json(), "versions": versions(), "machine": machine(),
        }  # fmt: skip

    def _complete(self, folder: Path, report: dict[str, Any]) -> None:
        (folder / "export.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        (folder / "README.md").write_text(card.write(self.run, self.options, report), encoding="utf-8")

    def _compare_with_record(self) -> None:
        """Tell where the model does not do on its test pictures what metrics.json says."""
        recorded = (self.run.metrics.get("test") or {}).get("accuracy")
        now = float((self.truth.probabilities.argmax(1) == self.truth.labels).mean())
        if recorded is not None and abs(recorded - now) > 0.005:
            self.reporter.note(f"accuracy on the test pictures is {now:.4f}; the run recorded {recorded:.4f}. Did they change?")

    def _asked(self) -> str:
        quantize = self.options.quantize
        return f"--format {self.options.format}" + ("" if quantize == "none" else f" --quantize {quantize}")


@contextmanager
def aside(output: Path) -> Iterator[Path]:
    """A folder beside `output` to write in; what is still there afterwards is removed."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written: {error.strerror}", received=str(output)) from error
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
        places = f"--output {output} or the folder for temporary files {tempfile.gettempdir()}"
        raise UserError(f"{places}: cannot be written: {in_a_line(error)}", received=str(output)) from error


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
        raise UserError(f"--output {output}: is there already; remove it, or name another", received=str(output))
    return output
