"""Self-training."""

from __future__ import annotations

from tlapp_plugins.shared.adapt import SOURCE, SOURCE_STAGES, Adapt
from tlapp_plugins.shared.rounds import rounds

from tlapp.contracts import Backbone, Field, Phase, Task, above, when


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
        5e-4, gt=0, le=10, by_input={"text": 5e-5}, description="learning rate of the last stage and the head",
        when=(SOURCE, when(adapt_last=above(0))),
    )  # fmt: skip
    adapt_last: int = Field(0, ge=0, description="stages that train while adapting; 0: only the head, which is fast and stable")
    rounds: int = Field(4, ge=1, description="number of times that the target is labelled again")
    share: float = Field(0.9, gt=0, le=1, description="share of each class's answers that the last round trains on")
    epochs: int = Field(4, ge=1, description="maximum epochs per round")

    def adapting(self, task: Task, backbone: Backbone) -> tuple[Phase, ...]:
        return rounds(
            task, "round", self.rounds, self.share, self.epochs, self.adapted(backbone, self.adapt_last), self.adapt_last > 0
        )
