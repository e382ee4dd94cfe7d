"""Rounds of self-training: the target's surest answers are its labels, class by class, more of them each round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlapp_plugins.shared.domain_losses import standardise

from tlapp.contracts import Batch, Fit, Net, Task

if TYPE_CHECKING:
    import numpy as np

PAIR = ("train", "target")
"""The streams of both domains."""


def rounds(task: Task, name: str, count: int, share: float, epochs: int, how: Mapping[str, Any], live: bool) -> tuple[Fit, ...]:
    """Phases, each of which labels the target anew.

    Args:
        name: of the phases, before their numbers.
        share: of each class's answers that the last one trains on.
        how: what trains and at what rate, as a phase's arguments.
        live: whether a stage trains.
    """
    pair = tuple(sorted(PAIR, key=lambda stream: -task.streams.get(stream, 0)))  # the larger one paces, so that all is seen
    return tuple(
        Fit(
            name=f"{name}-{number}", streams=pair, epochs=epochs, select="target", loss=Both(live),
            labeller=Surest(share * number / count), **how,
        )
        for number in range(1, count + 1)
    )  # fmt: skip


@dataclass(frozen=True)
class Both:
    """The head's loss on the source and on the target's pictures that were labelled; `live` as in `adversarial.Adapting`."""

    live: bool

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        features = net.features(batches["train"].x)
        outputs = net.head(features if self.live else standardise(features))
        return {"loss": net.task_loss(batches["train"], outputs), "target": net.task_loss(batches["target"])}


@dataclass(frozen=True)
class Surest:
    """Labels the surest `share` of each class's answers (CBST: Zou et al. 2018, https://arxiv.org/abs/1810.07911)."""

    share: float

    def __call__(self, features: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        answers, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
        weights = np.zeros(len(answers), np.float32)
        for label in np.unique(answers):
            rows = np.flatnonzero(answers == label)
            chosen = rows[np.argsort(-sure[rows], kind="stable")[: max(1, round(self.share * len(rows)))]]
            weights[chosen] = 1.0
        weights *= len(weights) / weights.sum()
        return np.eye(probabilities.shape[1], dtype=np.float32)[answers], weights
