"""The check of an artifact, such as a TFLite file: does it do what the trained model does? On examples not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tlapp.engine.data.labelling import ONE, Labelling
from tlapp.engine.export.formats.artifact import Answers, Latency
from tlapp.engine.network.known import SAID

# Numerical noise: what two float32 kernels differ by. Keras's two best classes closer than this are a tie.
TIE = 1e-4
KNOWN_DIFFER = 0.02
"""The share of examples, but one at least, on which a quantised artifact may decide otherwise than the Keras model."""
FLOAT_DIFFERENCE = 1e-3
"""In probabilities, or in standard deviations of the answers where these are numbers."""


@dataclass(frozen=True)
class Check:
    """What was measured. `fault` says why the artifact is not to be trusted; "" where it is.

    Attributes:
        metric: what "before" (Keras) and "after" (the artifact) are: the accuracy, or the R2 where labels are numbers.
        agreement: share of examples with the Keras model's top label, or set of labels, or about its number; exact ties count as
            the same.
        largest_difference: of any probability, or number.
        known: of the output of that name: share_before and share_after of the examples that are known, agreement of these
            decisions, and largest_difference; None where there is none.
        files: of an endpoint that takes files, such as serve_bytes, against Keras on the same files: n, agreement,
            largest_difference; None elsewhere.
    """

    n: int
    agreement: float
    ties: int
    metric: str
    before: float
    after: float
    classes: dict[str, dict[str, float]]
    largest_difference: float
    bytes: int
    latency: Latency
    files: dict[str, float] | None
    fault: str = ""
    known: dict[str, float] | None = None

    @property
    def drop(self) -> float:
        """What is lost of the metric."""
        return self.before - self.after

    def agreeing(self, least: float, truth: Truth) -> Check:
        """This check, failed if less than a share of the answers stayed the same."""
        if self.fault or self.agreement >= least:
            return self
        what = f"its {truth.labelling.answer} is the Keras model's on only {self.agreement:.2%}"
        return replace(self, fault=f"{what} of {self.n} {truth.stream} {truth.noun}s")

    def to_json(self) -> dict[str, Any]:
        """As export.json holds it."""
        facts = asdict(self)
        judged = {
            f"{self.metric}_{name}": value
            for name, value in (("before", self.before), ("after", self.after), ("drop", self.drop))
        }
        others = {name: value for name, value in facts.items() if name not in ("before", "after")}
        return {**others, **judged, "latency": self.latency._asdict()}


@dataclass(frozen=True)
class Truth:
    """What the artifact is compared with: Keras's probabilities of examples, their labels as numbers, the class names.

    `files` are Keras's probabilities of files as the input reads them, and `files_agree` the least share of them that an endpoint
    must agree with; `stream` is where the examples are from; `noun` is what sentences call one.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    files: np.ndarray | None = None
    stream: str = "test"
    labelling: Labelling = ONE
    noun: str = "example"
    files_agree: float = 0.95
    known: np.ndarray | None = None

    def metrics(self, probabilities: np.ndarray) -> dict[str, Any]:
        """How good probabilities, (n, classes), are."""
        return self.labelling.metrics(probabilities, self.labels, self.classes)


def check(truth: Truth, answers: Answers, size: int, quantised: bool, max_drop: float) -> Check:
    """Measure an artifact of `size` bytes and judge it."""
    labelling, metric = truth.labelling, truth.labelling.headline
    same = labelling.same(truth.probabilities, answers.probabilities)
    ties = ~same & (labelling.doubt(truth.probabilities, labelling.decide(answers.probabilities)) <= TIE)
    before, after = truth.metrics(truth.probabilities), truth.metrics(answers.probabilities)
    measured = Check(
        len(same), float((same | ties).mean()), int(ties.sum()), metric, before[metric], after[metric], _by_class(before, after),
        float(np.abs(truth.probabilities - answers.probabilities).max()), size, answers.latency, _files(truth, answers),
        known=_known(truth, answers),
    )  # fmt: skip
    return replace(measured, fault=_fault(measured, truth, answers, quantised, max_drop))


def _by_class(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The accuracy on the examples of each class, which is its recall."""
    pairs = [(name, each, after["classes"][name]) for name, each in before.get("classes", {}).items() if each["n"]]
    return {
        name: {"n": each["n"], "accuracy_before": each["recall"], "accuracy_after": other["recall"]}
        for name, each, other in pairs
    }


def _files(truth: Truth, answers: Answers) -> dict[str, float] | None:
    probabilities = next(iter(answers.files.values()), None)
    if truth.files is None or probabilities is None or not len(probabilities):
        return None
    agreement = float(truth.labelling.same(truth.files, probabilities).mean())
    largest = float(np.abs(truth.files - probabilities).max())
    return {"n": len(probabilities), "agreement": agreement, "largest_difference": largest}


def _known(truth: Truth, answers: Answers) -> dict[str, float] | None:
    if truth.known is None or answers.known is None or truth.known.shape != answers.known.shape:
        return None
    before, after, gaps = truth.known >= SAID, answers.known >= SAID, np.abs(truth.known - answers.known)
    same = (before == after) | (np.abs(truth.known - SAID) <= TIE)
    return {
        "share_before": float(before.mean()), "share_after": float(after.mean()), "agreement": float(same.mean()),
        "largest_difference": float(gaps.max()),
    }  # fmt: skip


def _says_otherwise(check: Check, truth: Truth, quantised: bool) -> str:
    """What is wrong with the output `known`; "" where nothing is."""
    if truth.known is None:
        return ""
    if check.known is None:
        return "it has no output `known`, and the run says which examples are unknown"
    differ = round((1 - check.known["agreement"]) * check.n)
    if differ > (max(1, KNOWN_DIFFER * check.n) if quantised else 0):
        return (
            f"its output `known` agrees with the Keras model's on only {check.known['agreement']:.1%} of {check.n} {truth.noun}s"
        )
    return ""


def _fault(check: Check, truth: Truth, answers: Answers, quantised: bool, max_drop: float) -> str:
    """Why the artifact fails, or ""."""
    if answers.labels != truth.classes:
        return f"it names the classes {', '.join(answers.labels)}; the run's are {', '.join(truth.classes)}"
    if not np.isfinite(answers.probabilities).all():
        return "its outputs are not all finite numbers"
    wrong = _lost(check, truth, max_drop) if quantised else _differs(check, truth)
    return (
        wrong
        or _says_otherwise(check, truth, quantised)
        or names_wrongly(answers, truth.labelling)
        or _endpoints(check, truth, answers)
    )


def _lost(check: Check, truth: Truth, max_drop: float) -> str:
    if check.drop <= max_drop + 1e-9:  # a drop of exactly max_drop passes whatever the last bit says
        return ""
    return (
        f"its {check.metric} on {check.n} {truth.stream} {truth.noun}s is {check.after:.4f}, the Keras model's "
        f"{check.before:.4f}: a drop of {check.drop:.4f}, over option max_drop={max_drop:g}"
    )


def names_wrongly(answers: Answers, labelling: Labelling) -> str:
    """What is wrong with the labels that an artifact names, by its own probabilities; "" where nothing is."""
    if not answers.named:
        return ""
    right = labelling.words(labelling.decide(answers.probabilities), answers.labels)
    return "" if answers.named == tuple(right) else "its output `label` differs from its probabilities and labels"


def _differs(check: Check, truth: Truth) -> str:
    if check.agreement < 1:
        count = round((1 - check.agreement) * check.n)
        return f"its {truth.labelling.answer} differs from the Keras model's on {count} of {check.n} {truth.stream} {truth.noun}s"
    if check.largest_difference > FLOAT_DIFFERENCE * truth.labelling.unit(truth.probabilities):
        return f"its outputs differ from the Keras model's by up to {check.largest_difference:.4f}"
    return ""


def _endpoints(check: Check, truth: Truth, answers: Answers) -> str:
    for name, probabilities in answers.others.items():
        if not np.array_equal(probabilities, answers.probabilities):
            return f"its endpoint {name} answers the same {truth.noun}s differently"
    if check.files and check.files["agreement"] < truth.files_agree:
        (name,) = answers.files
        return f"{name} agrees with the Keras model on only {check.files['agreement']:.1%} of {check.files['n']} files"
    far = check.files["largest_difference"] if check.files else 0.0
    if truth.files_agree == 1 and far > FLOAT_DIFFERENCE * truth.labelling.unit(truth.probabilities):
        (name,) = answers.files
        return f"the answers of {name} differ from the Keras model's by up to {far:.4f}"
    return ""
