"""What answers for examples, and is measured on them: a run's model, or an exported one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import Input
from tlapp.engine.data.labelling import Labelling
from tlapp.engine.data.measuring import load_labelled
from tlapp.engine.data.metrics import known_metrics
from tlapp.engine.data.reading import Bad
from tlapp.engine.data.streams import Stream
from tlapp.engine.inputs import ahead
from tlapp.engine.report import Reporter, Silent
from tlapp.errors import UserError

BATCH = 32


class Prediction(NamedTuple):
    """An example's most probable labels, best first: ((label, probability), ...); none where none is probable enough.

    Where the model answers with a number, it is the only pair: (("value", number),).

    Attributes:
        known: whether the example is like those that the model was trained on; None of a model that does not say so.
    """

    file: str
    labels: tuple[tuple[str, float], ...]
    known: bool | None = None

    @property
    def label(self) -> str:
        """The most probable label; "" where there is none."""
        return self.labels[0][0] if self.labels else ""

    @property
    def value(self) -> float:
        """The probability of the most probable label, or the number that is the answer; 0 where there is none."""
        return self.labels[0][1] if self.labels else 0.0


class Predictor(ABC):
    """A trained model, opened: a run or an export."""

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""

    @property
    @abstractmethod
    def labelling(self) -> Labelling:
        """Whether an example has one label or several."""

    @property
    @abstractmethod
    def input(self) -> Input:
        """What reads an example as in training."""

    @abstractmethod
    def probabilities(self, arrays: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Examples as stored, an array (n, ...) a tensor of the input, or the array itself where it is one -> (n, classes)."""

    def judged(self, arrays: np.ndarray | Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """As `probabilities`, and whether the examples are known, (n,) bool; None of a model that does not say so."""
        return self.probabilities(arrays), None

    @property
    def says_unknown(self) -> bool:
        """Whether the model says of an example that it is unknown."""
        return False

    def predict(self, files: Sequence[str | Path], top: int | None = None, on_bad: str = "fail") -> list[Prediction]:
        """The `top` most probable labels of each file, or of each example itself; None for the answer: one, or all above 0.5.

        Args:
            on_bad: skip leaves out examples that cannot be read.

        Raises:
            UserError: an example cannot be read, and `on_bad` is "fail".
        """
        predictions = []
        for answer in self.answers(files, top):
            if isinstance(answer, Prediction):
                predictions.append(answer)
            elif on_bad == "fail":
                raise UserError(f"{self.input.title(answer.source)}: {answer.reason}", received=answer.source)
        return predictions

    def answers(
        self, files: Iterable[str | Path], top: int | None = None, bad: Mapping[str, str] | None = None
    ) -> Iterator[Prediction | Bad]:
        """As `predict`, one answer after the other, as they are made; an example that cannot be read is told as `Bad`.

        Args:
            bad: examples that are known not to be readable, with the reason.
        """
        for part in ahead.parts(self.input, [str(file) for file in files], bad):
            good = iter(self._answers(part.good, part.arrays, top))
            for source in part.sources:
                yield Bad(source, part.bad[source]) if source in part.bad else next(good)

    def answers_to(self, names: Sequence[str], arrays: Sequence[np.ndarray], top: int | None = None) -> list[Prediction]:
        """As `predict`, of examples that are read already: an array (n, ...) a tensor of the input, and what they are called."""
        return list(self._answers(names, arrays, top))

    def evaluate(
        self, data: str, on_bad: str = "fail", reporter: Reporter | None = None, split: str | None = None
    ) -> dict[str, Any]:
        """Metrics on other labelled examples: class folders or a CSV, as metrics.json's splits.

        Args:
            split: of data that are divided, the part to measure on: train, val, test or all; None for test.

        Returns:
            The metrics; "split", or "data" where the data are not divided; "trained_on": how many of the examples the run was
            trained on or chosen by, None where that is not known; "known", of a model that says so: what it calls known.

        Raises:
            UserError: as the option data of train; or a class is not one of the model's.
        """
        listener = reporter or Silent()
        stream, notes = load_labelled(
            "data", data, self.labels, self.input, on_bad, listener.progress, self.labelling, split
        )  # fmt: skip
        for note in notes:
            listener.note(note)
        trained_on = self.trained_on(stream, listener)
        size = max(BATCH, self.input.block)
        blocks = [np.arange(i, min(i + size, len(stream))) for i in range(0, len(stream), size)]
        answers = [self.judged(stream.examples.take(block)) for block in blocks]
        rows = np.concatenate([part for part, _ in answers])
        assert stream.labels is not None, "load_labelled gives labels"
        metrics = {**self.labelling.metrics(rows, stream.labels, self.labels), "split": stream.name, "trained_on": trained_on}
        if known := [part for _, part in answers if part is not None]:
            metrics["known"] = known_metrics(np.concatenate(known), self.labelling.decide(rows) == stream.labels)
        return metrics

    def keep(self, sources: Sequence[str] = ()) -> Path | None:
        """Make, once, what lets the next answers come without TensorFlow.

        Args:
            sources: of examples to check it on, where those of the run cannot be read.

        Returns:
            Its folder; None where nothing was made.
        """
        return None

    def trained_on(self, stream: Stream, reporter: Reporter) -> int | None:
        """How many of these examples the model was trained on or chosen by, with a note on them; None where that is not known."""
        return None

    def _answers(self, sources: Sequence[str], arrays: Sequence[np.ndarray], top: int | None) -> Iterator[Prediction]:
        if not sources:
            return
        rows, known = self.judged(arrays)
        if self.labelling.scale:
            yield from (Prediction(source, ((self.labels[0], float(row[0])),)) for source, row in zip(sources, rows, strict=True))
            return
        counts = self.labelling.hot(self.labelling.decide(rows), len(self.labels)).sum(1)
        said = [None] * len(rows) if known is None else [bool(each) for each in known]
        for source, row, count, each in zip(sources, rows, counts, said, strict=True):
            best = np.argsort(-row, kind="stable")[: top or count]
            yield Prediction(source, tuple((self.labels[i], float(row[i])) for i in best), each)
