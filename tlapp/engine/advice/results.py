"""What a finished run is found to be: the metrics of its streams, and what they are beside baselines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tlapp.engine.advice.baselines import Baselines, verdict
from tlapp.engine.data.predictions import answers, surest_mistakes_first
from tlapp.engine.training.adaptation import adaptation
from tlapp.engine.training.episodes import few_shot
from tlapp.engine.training.phases import Phases


def calibrated_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean negative log likelihood at the temperature where it is least: how well classes are told apart, however sure.

    A temperature divides logits (Guo et al. 2017, https://arxiv.org/abs/1706.04599).
    """
    from scipy.optimize import minimize_scalar

    from tlapp.engine.advice.probe import loss

    logits = np.log(np.clip(probabilities.astype(np.float64), 1e-9, 1.0))
    found = minimize_scalar(lambda log: loss(logits / np.exp(log), labels), bounds=(-3.0, 3.0), method="bounded")
    return float(min(found.fun, loss(logits, labels)))


class Results:
    """The answers of a run's last net to val, test and target, (n, classes) or None each.

    Args:
        baselines: on frozen features; None where there are none.
        tuned: whether the backbone was changed.
    """

    def __init__(self, work: Phases, baselines: Baselines | None, tuned: bool):
        self.work, self.dataset, self.baselines, self.tuned = work, work.streams.dataset, baselines, tuned
        net, cut = work.last()
        self.outputs = {name: work.streams.probabilities(net, cut, name) for name in ("val", "test", "target")}

    def metrics(self) -> dict[str, Any]:
        """As metrics.json holds them, but for seconds, counts and memory."""
        found = {name: self.work.streams.measured(name, output) for name, output in self.outputs.items()} | few_shot(self.work)
        if (val := self.outputs["val"]) is not None and self.dataset.labelling.kind == "one":
            labels = self.dataset.streams["val"].labels
            assert labels is not None, "what was judged has labels"
            found["val"]["calibrated_loss"] = calibrated_loss(val, labels)
        if self.work.aux is not None:
            found["aux"] = self.work.streams.metrics(*self.work.last(self.work.aux), "aux_test")
        if summary := adaptation(self.work.history.epochs, self.dataset.streams.get("target")):
            found["adaptation"] = summary
        if self.baselines and (test := self.outputs["test"]) is not None:
            found["baselines"] = {"tuned": self.tuned, **self.baselines.measured(self.dataset.labelling.decide(test))}
            found["verdict"] = verdict(found["baselines"])
        return found

    def predictions(self) -> list[Any]:
        """Rows of predictions.csv."""
        return surest_mistakes_first([row for name, part in self._judged() for row in answers(self.dataset, name, part)])

    def _judged(self) -> Iterator[tuple[str, np.ndarray]]:
        for name in ("val", "test"):
            if (part := self.outputs[name]) is not None:
                yield name, part
