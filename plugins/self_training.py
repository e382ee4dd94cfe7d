"""Self-training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlapp_plugins.shared.adapt import PAIR, SOURCE, SOURCE_STAGES, Adapt
from tlapp_plugins.shared.domain_losses import standardise

from tlapp.contracts import Backbone, Batch, Field, Fit, Net, Phase, Task, above, when

if TYPE_CHECKING:
    import numpy as np


class SelfTraining(Adapt):
    """Train on the model's own most certain answers to the target's pictures, class by class, more of them each round."""

    last: int = Field(
        3, ge=0, description="stages that train on the source, counted from the output; 0 trains only the head",
        when=when(source_epochs=above(0)),
    )  # fmt: skip
    decay: float = Field(
        1.0, gt=0, le=1, description="learning-rate factor per stage towards the input",
        when=(SOURCE_STAGES, when(adapt_last=above(1))),
    )  # fmt: skip
    learning_rate: float = Field(
        5e-4, gt=0, description="learning rate of the last stage and the head",
        when=(SOURCE, when(adapt_last=above(0))),
    )  # fmt: skip
    adapt_last: int = Field(0, ge=0, description="stages that train while adapting; 0: only the head, which is fast and stable")
    rounds: int = Field(4, ge=1, description="number of times that the target is labelled again")
    share: float = Field(0.9, gt=0, le=1, description="share of each class's answers that the last round trains on")
    epochs: int = Field(4, ge=1, description="maximum epochs per round")

    def adapting(self, task: Task, backbone: Backbone) -> tuple[Phase, ...]:
        pair = tuple(sorted(PAIR, key=lambda name: -task.streams.get(name, 0)))  # the larger one paces, so that all is seen
        return tuple(
            Fit(
                name=f"round-{number}", streams=pair, epochs=self.epochs, select="target", loss=Both(self.adapt_last > 0),
                labeller=Surest(self.share * number / self.rounds), **self.adapted(backbone, self.adapt_last),
            )
            for number in range(1, self.rounds + 1)
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
