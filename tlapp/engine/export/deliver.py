"""The story of an export: write aside, run, measure, and hand over only what passes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.export import card, golden, metadata, tflite
from tlapp.engine.export.artifact import ask
from tlapp.engine.export.check import Check, Truth, check
from tlapp.engine.export.formats import Ingredients, write
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.pictures import Pictures
from tlapp.engine.report import Reporter, Silent
from tlapp.engine.saved import BATCH, SavedRun
from tlapp.errors import UserError

SMALLEST_FIRST = ("int8", "int8-selective", "dynamic", "float16", "none")
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
    with tempfile.TemporaryDirectory() as scratch:
        test = pictures.write_test(Path(scratch) / "test.npy")
        work = Work(run, options, told, pictures, test, output)
        return work.first_that_passes(SMALLEST_FIRST if options.quantize == "auto" else (options.quantize,))


class Work:
    """One export under way."""

    def __init__(
        self, run: SavedRun, options: ExportOptions, reporter: Reporter, pictures: Pictures, test: np.ndarray, output: Path
    ):
        self.run, self.options, self.reporter = run, options, reporter
        self.test, self.output = test, output
        self.calibration = pictures.calibration
        suffixes = FILE_SUFFIXES if options.format == "savedmodel" else ()
        rows = [i for i, file in enumerate(pictures.test.files) if file.lower().endswith(suffixes or ("\0",))][:FILES]
        self.files = [pictures.test.files[i] for i in rows]
        blocks = range(0, len(test), BATCH)
        found = np.concatenate([run.probabilities(test[i : i + BATCH]) for i in blocks])
        self.truth = Truth(found, pictures.labels, run.labels, found[rows] if rows else None)
        self._compare_with_record()

    def first_that_passes(self, candidates: tuple[str, ...]) -> dict[str, Any]:
        """Try one way of quantising after the other.

        Raises:
            UserError: the last one fails too.
        """
        tried: list[dict[str, Any]] = []
        for quantize in candidates:
            with aside(self.output) as folder:
                report = self._attempt(folder, quantize)
                fault = report["check"]["fault"]
                if not fault or (self.options.allow_drop and len(candidates) == 1):
                    self._complete(folder, {**report, "tried": tried})
                    os.rename(folder, self.output)
                    return {**report, "tried": tried, "folder": str(self.output)}
            tried.append({key: report[key] for key in ("quantize", "check")})
            self.reporter.note(f"{quantize}: {fault}")
        keep = "" if len(candidates) > 1 else "; --allow-drop keeps it"
        raise UserError(f"--format {self.options.format}{_quantised(quantize)}: {fault}; it was not kept{keep}")

    def _attempt(self, folder: Path, quantize: str) -> dict[str, Any]:
        (folder / metadata.LABELS).write_bytes(metadata.lines(self.run.labels))
        extra = write(self.options.format, quantize, self._ingredients(folder))
        artifact = str(extra.pop("artifact"))
        answers = ask(self.options.format, folder / artifact, self.test, self.files)
        size = size_of(folder / artifact)
        checked = check(self.truth, answers, size, quantize != "none", self.options.max_drop)
        golden.write(folder, self.options.format, quantize, artifact, self.truth.labels, self.test, answers.probabilities)
        return self._report(quantize, artifact, checked, extra)

    def _ingredients(self, folder: Path) -> Ingredients:
        return Ingredients(self.run, self.run.model, folder, self.calibration, card.facts(self.run, self.options))

    def _report(self, quantize: str, artifact: str, checked: Check, extra: dict[str, Any]) -> dict[str, Any]:
        return {
            "format": self.options.format, "quantize": quantize, "artifact": artifact, "image_size": self.run.image_size,
            "labels": list(self.run.labels), "max_drop": self.options.max_drop, "passed": not checked.fault,
            "check": checked.to_json(), **extra, "versions": versions(), "machine": machine(),
        }  # fmt: skip

    def _complete(self, folder: Path, report: dict[str, Any]) -> None:
        (folder / "export.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        (folder / "README.md").write_text(card.write(self.run, self.options, report), encoding="utf-8")

    def _compare_with_record(self) -> None:
        """Tell where the model does not do on its test pictures what metrics.json says."""
        recorded = (self.run.metrics.get("test") or {}).get("accuracy")
        now = float((self.truth.probabilities.argmax(1) == self.truth.labels).mean())
        if recorded is not None and abs(recorded - now) > 0.005:
            self.reporter.note(
                f"accuracy on the test pictures is {now:.4f}, but the run recorded {recorded:.4f}: have they changed?"
            )


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


def _quantised(quantize: str) -> str:
    return "" if quantize == "none" else f" --quantize {quantize}"


def _fresh(run: SavedRun, options: ExportOptions) -> Path:
    output = Path(options.output) if options.output else run.folder / "export" / options.folder_name()
    if output.exists():
        raise UserError(
            f"--output {output}: is there already; remove it, or name a folder that does not exist", received=str(output)
        )
    return output
