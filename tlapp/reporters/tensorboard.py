"""TensorBoard."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from pydantic import PrivateAttr

from tlapp.contracts import EpochFacts, RunFacts, RunReporter, RunResult, UserError

PIXELS, MOST = 480, 100
"""Pixels a side of the picture of the confusion matrix, at most, and classes for which there is one."""


class TensorBoard(RunReporter):
    """Scalars of each epoch, rates of the stages and the confusion matrix, in the run's folder, for `tensorboard --logdir`."""

    contract = "1.2"
    _writer: Any = PrivateAttr(None)
    _step: int = PrivateAttr(0)

    def check(self) -> None:
        if find_spec("tensorboard") is None:
            raise UserError("needs one more package: pip install 'tlapp[tensorboard]'", "tensorboard", "log")

    def begun(self, run: RunFacts) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        run.logs.mkdir(parents=True, exist_ok=True)
        self._writer, self._step = EventFileWriter(str(run.logs)), run.epochs

    def epoch(self, epoch: EpochFacts) -> None:
        self._step = epoch.step
        rates = {f"rate/{stage}": factor * (epoch.learning_rate or 0.0) for stage, factor in epoch.rates.items()}
        head = {} if epoch.learning_rate is None else {"rate/head": epoch.learning_rate}
        by_phase = {f"{epoch.phase}/{name}": value for name, value in epoch.metrics.items()}
        self._scalars({**epoch.metrics, **by_phase, **head, **rates})
        self._writer.flush()

    def finished(self, result: RunResult) -> None:
        self._scalars(dict(_numbers("result", {name: result.metrics.get(name) or {} for name in ("val", "test", "target")})))
        if result.confusion and len(result.confusion) <= MOST:
            self._image("confusion", _drawn(result.confusion))
        self._writer.close()

    def stopped(self, reason: str) -> None:
        self._writer.close()

    def _scalars(self, values: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()]))

    def _image(self, name: str, content: tuple[int, bytes]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        size, png = content
        image = Summary.Image(height=size, width=size, colorspace=3, encoded_image_string=png)
        self._add(Summary(value=[Summary.Value(tag=name, image=image)]))

    def _add(self, summary: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(step=self._step, wall_time=time.time(), summary=summary))


def _numbers(prefix: str, values: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The numbers in nested metrics but those of single classes, by their path."""
    found: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and name != "classes":
            found += _numbers(f"{prefix}/{name}", value)
        elif isinstance(value, int | float):
            found.append((f"{prefix}/{name}", float(value)))
    return found


def _drawn(confusion: list[list[int]]) -> tuple[int, bytes]:
    """Its pixels a side, and a PNG: a row a true class, the darker the larger its share of the answers."""
    import numpy as np
    from PIL import Image

    counts = np.array(confusion, float)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    grey = (255 * (1 - shares)).astype(np.uint8)
    cell = max(1, PIXELS // len(grey))
    picture = Image.fromarray(np.kron(grey, np.ones((cell, cell), np.uint8))).convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return picture.width, file.getvalue()
