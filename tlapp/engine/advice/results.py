"""What a finished run is found to be: the metrics of its streams, and what they are beside baselines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tlapp.engine.advice.baselines import Baselines, verdict
from tlapp.engine.advice.calibration import FEWEST, SPREAD, calibrated_losses, calibration, temperature
from tlapp.engine.advice.unknown import fitted, report
from tlapp.engine.data.predictions import answers, surest_mistakes_first
from tlapp.engine.network.known import Known, tail_of
from tlapp.engine.runs.folder import PROBABILITIES, UNKNOWN
from tlapp.engine.training.adaptation import adaptation
from tlapp.engine.training.episodes import few_shot
from tlapp.engine.training.kinds import kind_of
from tlapp.engine.training.phases import Phases

FALSE = 0.01
"""The share of test pictures that may look like training pictures by chance; fewer are not told (docs/results.md, "Audit")."""
SHOWN = 20
LEAST = 1e-4
"""The lowest threshold of a label; the highest is as near to 1."""


class Results:
    """The answers of a run's last net to val, test and target, (n, classes) or None each.

    Args:
        baselines: on frozen features; None where there are none.
        tuned: whether the backbone was changed.
        trained: whether any of it was trained.
    """

    def __init__(self, work: Phases, baselines: Baselines | None, tuned: bool, trained: bool):
        self.work, self.dataset, self.baselines = work, work.streams.dataset, baselines
        self.changed = {"tuned": tuned, "trained": trained}
        self.calibrates = self.dataset.labelling.kind == "one" and work.job.head.activation == "softmax"
        raw = {"val": self._raw("val")}
        self._calibrate(raw["val"])
        self._choose_thresholds(raw["val"])
        if self._learns_val():  # val is measured before it is learnt
            kind_of(work.slots[-1].phase).refit(work, work.slots[-1])
            work.reporter.note(
                "the head was fitted once more, on train and val, after val was measured; option refit=false leaves val out"
            )
        raw |= {name: self._raw(name) for name in ("test", "target")}
        self.raw = {name: part for name, part in raw.items() if part is not None}
        self.known: Known | None = None
        self.outputs = {name: None if part is None else self._answers(part) for name, part in raw.items()}

        if work.job.options.unknown is not None:
            self._choose_known(work.job.options.unknown)

    def _learns_val(self) -> bool:
        """Whether the head is fitted again, on train and val: where nothing is said, if that is cheap and val does not choose."""
        phase, options = self.work.slots[-1].phase, self.work.job.options
        if not kind_of(phase).refits or options.refit is not None:
            return bool(options.refit)
        return options.unknown is None and not getattr(phase, "episodes", None)  # episodes are about other classes

    def _raw(self, name: str) -> np.ndarray | None:
        return self.work.streams.outputs(*self.work.last(), name)

    def _answers(self, raw: np.ndarray) -> np.ndarray:
        return np.asarray(self.work.streams.last_layer(self.work.temperature, self.work.shift)(raw))

    def _as_trained(self, raw: np.ndarray) -> np.ndarray:
        return np.asarray(self.work.streams.last_layer()(raw))

    def _choose_thresholds(self, val: np.ndarray | None) -> None:
        """Let the deployed model answer each label from the probability on that its head chooses on val."""
        self.thresholds = None
        if self.dataset.labelling.kind != "many" or val is None:
            return
        found = self.work.job.head.thresholds(self._as_trained(val), self._labels("val"))
        if found is not None:
            self.thresholds = np.clip(np.asarray(found, np.float64), LEAST, 1 - LEAST)
            self.work.shift = [*map(float, np.log(1 / self.thresholds - 1))]

    def _calibrate(self, val: np.ndarray | None) -> None:
        """Let the deployed model divide its head's outputs by the temperature that fits those for val."""
        if not self.calibrates or val is None:
            return
        if len(val) >= FEWEST:
            self.work.temperature = temperature(val, self._labels("val"), SPREAD)
        else:
            self.work.reporter.note(
                f"probabilities are not calibrated: that takes {FEWEST} val {self.dataset.input.noun}s, and there are {len(val)}"
            )

    def _choose_known(self, coverage: float) -> None:
        """Choose the rule by which the deployed model says "unknown"."""
        work, val = self.work, self.outputs["val"]
        assert val is not None, "was checked before training"
        self.features = work.streams.features(*work.last(), ("train", *(name for name, _ in self._judged())))
        tail = tail_of(work.layer, work.streams.last_layer(work.temperature), self.features["train"].shape[1])
        self.known = fitted(self.features["train"], self._labels("train"), self.features["val"], val, coverage, tail)
        noun, step = self.dataset.input.noun, 100 / (len(val) + 1)
        work.reporter.note(
            f"unknown: the threshold was chosen on {len(val)} val {noun}s, in steps of {step:.2g} points of coverage"
        )

    def _unknown(self, coverage: float) -> dict[str, Any]:
        """What the rule calls known of val and test."""
        assert self.known is not None, "it was asked for"
        called = {name: self.known.calls(self.features[name], part) for name, part in self._judged()}
        test = self.outputs["test"]
        return report(
            coverage, called["val"], called.get("test"), None if test is None else test.argmax(1) == self._labels("test")
        )

    def _labels(self, name: str) -> np.ndarray:
        labels = self.dataset.streams[name].labels
        assert labels is not None, "what was judged has labels"
        return labels

    def _calibration(self) -> dict[str, Any]:
        """What calibrating did to the probabilities of val and test."""
        judged = [name for name, _ in self._judged()]
        before = {name: self._as_trained(self.raw[name]) for name in judged}
        return calibration(self.work.temperature, before, dict(self._judged()), {name: self._labels(name) for name in judged})

    def metrics(self) -> dict[str, Any]:
        """As metrics.json holds them, but for seconds, counts and memory."""
        found = {name: self.work.streams.measured(name, output) for name, output in self.outputs.items()} | few_shot(self.work)
        if (val := self.outputs["val"]) is not None and self.dataset.labelling.kind == "one":
            found["val"]["calibrated_loss"] = float(calibrated_losses(val, self._labels("val")).mean())
        if self.calibrates:
            found["calibration"] = self._calibration()
        if self.thresholds is not None:
            found["thresholds"] = dict(zip(self.dataset.classes, map(float, self.thresholds), strict=True))
        if (coverage := self.work.job.options.unknown) is not None:
            found["unknown"] = self._unknown(coverage)
        if self.work.aux is not None:
            found["aux"] = self.work.streams.metrics(*self.work.last(self.work.aux), "aux_test")
        if summary := adaptation(self.work.history.epochs, self.dataset.streams.get("target")):
            found["adaptation"] = summary
        if self.baselines and (test := self.outputs["test"]) is not None:
            found["baselines"] = {**self.changed, **self.baselines.measured(self.dataset.labelling.decide(test))}
            found["verdict"] = verdict(found["baselines"])
            if len(pairs := self.baselines.leaks()) > FALSE * len(self.baselines.features["test"]):
                found["leaks"] = {"count": len(pairs), "of": len(self.baselines.features["test"]), "pairs": pairs[:SHOWN]}
        return found

    def write(self) -> None:
        """Write into the run's folder what it says of each example that it is judged by, and the rule by which that is known."""
        record = self.work.record
        record.arrays(self.probabilities(), PROBABILITIES)
        record.predictions(self.predictions(), self.dataset.input.column)
        if self.known is not None:
            record.arrays(self.known.arrays(), UNKNOWN)

    def probabilities(self) -> dict[str, np.ndarray]:
        """What the run says of each example of val and test, and its label: arrays of probabilities.npz."""
        found: dict[str, np.ndarray] = {}
        for name, part in self._judged():
            found |= {name: part.astype(np.float32), f"{name}_labels": self._labels(name)}
        return found

    def predictions(self) -> list[Any]:
        """Rows of predictions.csv."""
        return surest_mistakes_first([row for name, part in self._judged() for row in answers(self.dataset, name, part)])

    def _judged(self) -> Iterator[tuple[str, np.ndarray]]:
        for name in ("val", "test"):
            if (part := self.outputs[name]) is not None:
                yield name, part
