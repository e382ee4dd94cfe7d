"""What a model answers to the examples that it is judged by, and which of its mistakes are the surest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tlapp.engine.data.files import absolute
from tlapp.engine.data.streams import Dataset


class Answer(NamedTuple):
    """A line of predictions.csv: what is true, what was answered, and how probable the model holds both."""

    source: str
    split: str
    label: str
    predicted: str
    probability: float
    label_probability: float

    @property
    def gap(self) -> float:
        """How much more probable the answer is than the truth; 0 where it is right."""
        return 0.0 if self.predicted == self.label else self.probability - self.label_probability


def answers(dataset: Dataset, name: str, probabilities: np.ndarray) -> list[Answer]:
    """The answers to a labelled stream, by the probabilities (n, classes) of its examples."""
    stream, labelling, classes = dataset.streams[name], dataset.labelling, dataset.classes_of(name)
    assert stream.labels is not None, "a labelled stream"
    decided = labelling.decide(probabilities)
    columns = (
        labelling.words(stream.labels, classes), labelling.words(decided, classes),
        labelling.likelihood(probabilities, decided).tolist(), labelling.likelihood(probabilities, stream.labels).tolist(),
    )  # fmt: skip
    return [Answer(absolute(file, dataset.input), name, *cells) for file, *cells in zip(stream.files, *columns, strict=True)]


def surest_mistakes_first(answers: Sequence[Answer]) -> list[Answer]:
    """The mistakes, the surest first, then what is right, the least sure first."""
    return sorted(answers, key=lambda answer: (answer.predicted == answer.label, -answer.gap, answer.probability))
