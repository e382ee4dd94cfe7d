"""What a model answers to the examples that it is judged by, and which of its mistakes are the surest, or largest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tlapp.engine.data.files import absolute
from tlapp.engine.data.streams import Dataset


class Answer(NamedTuple):
    """A line of predictions.csv: what is true, what was answered, and how probable the model holds both.

    Attributes:
        probability, label_probability: None where the answer is a number.
        gap: how much more probable the answer is than the truth, or how far it is from it; 0 where it is right.
    """

    source: str
    split: str
    label: str
    predicted: str
    probability: float | None
    label_probability: float | None
    gap: float


def answers(dataset: Dataset, name: str, probabilities: np.ndarray) -> list[Answer]:
    """The answers to a labelled stream, by the probabilities (n, classes) of its examples."""
    stream, labelling, classes = dataset.streams[name], dataset.labelling, dataset.classes_of(name)
    assert stream.labels is not None, "a labelled stream"
    decided = labelling.decide(probabilities)
    sure, true = labelling.likelihood(probabilities, decided), labelling.likelihood(probabilities, stream.labels)
    gaps = np.where(sure > true, sure - true, 0.0)
    likely = [[None] * len(stream)] * 2 if labelling.scale else [sure.tolist(), true.tolist()]
    words = labelling.words(stream.labels, classes), labelling.words(decided, classes)
    files = [absolute(file, dataset.input) for file in stream.files]
    return [Answer(file, name, *cells) for file, *cells in zip(files, *words, *likely, gaps.tolist(), strict=True)]


def surest_mistakes_first(answers: Sequence[Answer]) -> list[Answer]:
    """The mistakes, the surest first, then what is right, the least sure first; of numbers the largest error first."""
    return sorted(answers, key=lambda answer: (answer.predicted == answer.label, -answer.gap, answer.probability or 0.0))
