"""Does the artifact do what the trained model does? Measured on pictures that the run was not trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tlapp.engine.data.labelling import ONE, Labelling
from tlapp.engine.export.formats.artifact import Answers, Latency

# Numerical noise: what two float32 kernels differ by. Keras's two best classes closer than this are a tie.
TIE = 1e-4
FLOAT_DIFFERENCE = 1e-3
# The endpoint for files decodes and resizes by TensorFlow, not Pillow: pixels differ by a level or so, which can turn a near tie.
FILES_AGREE = 0.95


@dataclass(frozen=True)
class Check:
    """What was measured. `fault` says why the artifact is not to be trusted; "" where it is.

    Attributes:
        agreement: share of pictures with the Keras model's top label, or set of labels; exact ties count as the same.
        largest_difference: of any probability.
        files: of the endpoint serve_bytes against Keras on the same files: n, agreement, largest_difference; None elsewhere.
    """

    n: int
    agreement: float
    ties: int
    accuracy_before: float
    accuracy_after: float
    classes: dict[str, dict[str, float]]
    largest_difference: float
    bytes: int
    latency: Latency
    files: dict[str, float] | None
    fault: str = ""

    @property
    def drop(self) -> float:
        """Accuracy lost."""
        return self.accuracy_before - self.accuracy_after

    def agreeing(self, least: float, stream: str) -> Check:
        """This check, failed if less than a share of the top labels stayed the same."""
        if self.fault or self.agreement >= least:
            return self
        return replace(
            self, fault=f"its top label is the Keras model's on only {self.agreement:.2%} of {self.n} {stream} pictures"
        )

    def to_json(self) -> dict[str, Any]:
        """As export.json holds it."""
        return {**asdict(self), "accuracy_drop": self.drop, "latency": self.latency._asdict()}


@dataclass(frozen=True)
class Truth:
    """What the artifact is held against: Keras's probabilities of pictures, their labels as numbers, the class names.

    `files` are Keras's probabilities of picture files as `images.read` reads them; `stream` is where the pictures are from.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    files: np.ndarray | None = None
    stream: str = "test"
    labelling: Labelling = ONE

    def answers(self, probabilities: np.ndarray) -> np.ndarray:
        """What probabilities say, (n, classes) bool."""
        return self.labelling.hot(self.labelling.decide(probabilities), len(self.classes))

    @property
    def hot(self) -> np.ndarray:
        """What is true, (n, classes) bool."""
        return self.labelling.hot(self.labels, len(self.classes))


def check(truth: Truth, answers: Answers, size: int, quantised: bool, max_drop: float) -> Check:
    """Measure an artifact of `size` bytes and judge it."""
    before, after, hot = truth.answers(truth.probabilities), truth.answers(answers.probabilities), truth.hot
    same = (before == after).all(1)
    doubt = truth.labelling.doubt(truth.probabilities, truth.labelling.decide(answers.probabilities))
    ties = ~same & (doubt <= TIE)
    measured = Check(
        len(before), float((same | ties).mean()), int(ties.sum()), float((before == hot).all(1).mean()),
        float((after == hot).all(1).mean()), _by_class(truth.classes, hot, before, after),
        float(np.abs(truth.probabilities - answers.probabilities).max()), size, answers.latency, _files(truth, answers),
    )  # fmt: skip
    return Check(**{**vars(measured), "fault": _fault(measured, truth, answers, quantised, max_drop)})


def _by_class(classes: tuple[str, ...], hot: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, dict[str, float]]:
    found = {}
    for number, name in enumerate(classes):
        rows = hot[:, number]
        if rows.any():
            share = {"accuracy_before": before[rows, number], "accuracy_after": after[rows, number]}
            found[name] = {"n": int(rows.sum()), **{key: float(right.mean()) for key, right in share.items()}}
    return found


def _files(truth: Truth, answers: Answers) -> dict[str, float] | None:
    found = answers.others.get("serve_bytes")
    if truth.files is None or found is None or not len(found):
        return None
    agreement = float((truth.answers(truth.files) == truth.answers(found)).all(1).mean())
    return {"n": len(found), "agreement": agreement, "largest_difference": float(np.abs(truth.files - found).max())}


def _fault(found: Check, truth: Truth, answers: Answers, quantised: bool, max_drop: float) -> str:
    """Why the artifact fails, or ""."""
    if answers.labels != truth.classes:
        return f"it names the classes {', '.join(answers.labels)}; the run's are {', '.join(truth.classes)}"
    if not np.isfinite(answers.probabilities).all():
        return "its probabilities are not all numbers"
    wrong = _lost(found, truth.stream, max_drop) if quantised else _differs(found, truth)
    return wrong or names_wrongly(answers, truth.labelling) or _endpoints(found, answers)


def _lost(found: Check, stream: str, max_drop: float) -> str:
    # Counts, not shares: a drop of exactly max_drop passes whatever the last bit says.
    if round(found.drop * found.n) <= max_drop * found.n + 1e-9:
        return ""
    return (
        f"its accuracy on {found.n} {stream} pictures is {found.accuracy_after:.4f}, the Keras model's "
        f"{found.accuracy_before:.4f}: a drop of {found.drop:.4f}, over option max_drop={max_drop:g}"
    )


def names_wrongly(answers: Answers, labelling: Labelling) -> str:
    """What is wrong with the labels that an artifact names, by its own probabilities; "" where nothing is."""
    right = labelling.words(labelling.decide(answers.probabilities), answers.labels)
    return "" if answers.said in ((), tuple(right)) else "its output `label` differs from its probabilities and labels"


def _differs(found: Check, truth: Truth) -> str:
    if found.agreement < 1:
        count = round((1 - found.agreement) * found.n)
        return f"its {truth.labelling.answer} differs from the Keras model's on {count} of {found.n} {truth.stream} pictures"
    if found.largest_difference > FLOAT_DIFFERENCE:
        return f"its probabilities differ from the Keras model's by up to {found.largest_difference:.4f}"
    return ""


def _endpoints(found: Check, answers: Answers) -> str:
    whole = answers.others.get("serve_uint8")
    if whole is not None and not np.array_equal(whole, answers.probabilities):
        return "uint8 and float pictures are answered differently"
    if found.files and found.files["agreement"] < FILES_AGREE:
        return f"serve_bytes agrees with the Keras model on only {found.files['agreement']:.1%} of {found.files['n']} files"
    return ""
