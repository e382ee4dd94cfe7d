"""Run an artifact as its user would: a TFLite file by LiteRT, a SavedModel by TensorFlow alone in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.export import metadata
from tlapp.engine.runs.saved import open_model
from tlapp.errors import UserError

WARM, TIMED = 5, 50
Opener = Callable[[Path], Any]


class Latency(NamedTuple):
    """Of one picture: the median of `n` runs, after warming up."""

    median_ms: float
    n: int
    threads: int


class Answers(NamedTuple):
    """What an artifact says.

    Attributes:
        probabilities: (n, classes).
        labels: the class names that it carries, or that lie beside it.
        others: endpoint -> probabilities of the same pictures (SavedModel's serve_uint8), or of files (serve_bytes).
        said: the label of each picture, of an artifact that names it (a SavedModel).
    """

    probabilities: np.ndarray
    labels: tuple[str, ...]
    latency: Latency
    others: dict[str, np.ndarray]
    said: tuple[str, ...] = ()


def threads() -> int:
    """How many threads an artifact may use: four at most, as on a phone."""
    return min(4, os.cpu_count() or 1)


def ask(kind: str, path: Path, pictures: np.ndarray, files: Sequence[str] = (), open_keras: Opener = open_model) -> Answers:
    """Run an artifact.

    Args:
        kind: its format.
        pictures: (n, size, size, 3) uint8.
        files: picture files for a SavedModel's endpoint.
        open_keras: opens a .keras file; a run's own knows layers that Keras does not.

    Raises:
        UserError: it does not run.
    """
    if kind == "savedmodel":
        return _ask_saved_model(path, pictures, files)
    if kind == "keras":
        return _ask_keras(path, pictures, open_keras)
    return {"tflite": _ask_tflite, "onnx": _ask_onnx}[kind](path, pictures)


def timed(call: Callable[[], Any]) -> Latency:
    """How long a call takes."""
    times = []
    for number in range(WARM + TIMED):
        began = time.perf_counter()
        call()
        if number >= WARM:
            times.append(time.perf_counter() - began)
    return Latency(round(float(np.median(times)) * 1000, 3), TIMED, threads())


def _ask_tflite(path: Path, pictures: np.ndarray) -> Answers:
    try:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path), num_threads=threads())
        interpreter.allocate_tensors()
        labels = metadata.read_labels(path)
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        raise UserError(f"{path}: does not load: {str(error).splitlines()[0]}") from error
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def classify(picture: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source["index"], picture[None].astype(source["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])[0]

    found = np.stack([classify(picture) for picture in pictures])
    return Answers(found, labels, timed(lambda: classify(pictures[0])), {})


def _ask_keras(path: Path, pictures: np.ndarray, open_keras: Opener) -> Answers:
    try:
        model = open_keras(path)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: does not load: {str(error).splitlines()[0]}") from error
    one = pictures[:1].astype(np.float32)
    found = _by_blocks(model.predict_on_batch, pictures)
    return Answers(found, _beside(path), timed(lambda: model(one, training=False)), {})


def _ask_onnx(path: Path, pictures: np.ndarray) -> Answers:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError("option format=onnx: its check needs onnxruntime: pip install 'tlapp[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    one = pictures[:1].astype(np.float32)
    found = _by_blocks(lambda block: session.run(None, {name: block})[0], pictures)
    return Answers(found, _beside(path), timed(lambda: session.run(None, {name: one})), {})


def _by_blocks(classify: Callable[[np.ndarray], Any], pictures: np.ndarray) -> np.ndarray:
    starts = range(0, len(pictures), 32)
    return np.concatenate([np.asarray(classify(pictures[i : i + 32].astype(np.float32))) for i in starts])


def _beside(path: Path) -> tuple[str, ...]:
    return tuple(path.with_name(metadata.LABELS).read_text(encoding="utf-8").splitlines())


def _ask_saved_model(path: Path, pictures: np.ndarray, files: Sequence[str]) -> Answers:
    """By `serve.py`, which imports TensorFlow and NumPy and nothing of ours."""
    with tempfile.TemporaryDirectory() as folder:
        job, answers = Path(folder, "job.json"), Path(folder, "answers.npz")
        np.save(Path(folder, "pictures.npy"), pictures)
        told = {"model": str(path.absolute()), "files": [os.path.abspath(file) for file in files], "threads": threads()}
        job.write_text(json.dumps({**told, "warm": WARM, "timed": TIMED}), encoding="utf-8")
        child = subprocess.run(  # noqa: S603 - this interpreter, on our own program
            [sys.executable, str(Path(__file__).with_name("serve.py")), str(job)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if child.returncode:
            said = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
            raise UserError(f"{path}: does not load and run in a fresh process: {said[-1][:300]}")
        with np.load(answers) as found:
            others = {key: found[key] for key in ("serve_uint8", "serve_bytes")}
            labels = tuple(found["labels"].tolist())
            latency = Latency(float(found["median_ms"]), TIMED, threads())
            return Answers(found["probabilities"], labels, latency, others, tuple(found["said"].tolist()))
