"""Few-shot."""

from __future__ import annotations

from typing import Any, Literal

from tlapp_plugins.shared import held_out
from tlapp_plugins.shared.discriminant import Discriminant
from tlapp_plugins.shared.episodes import Maml, Prototypes, Reptile, Start
from tlapp_plugins.shared.held_out import HeldOut, Without
from tlapp_plugins.shared.support import Classifier

from tlapp.contracts import Backbone, Episodes, Field, Fit, Plan, Solve, Strategy, Task, when

TRAINED = ("prototypes", "maml", "fomaml", "reptile")
BY_STEPS = ("maml", "fomaml", "reptile")
CHOOSING, JUDGED = 300, 5
"""Episodes of the held-out classes that the weights are chosen by, and examples of a class in them to be judged by."""


class FewShot(Strategy):
    """Learn from many classes how to learn others from a few examples of each: for `tlapp adapt`, or option support."""

    contract = "1.2"
    method: Literal["prototypes", "maml", "fomaml", "reptile", "covariance"] = Field(
        "prototypes", description="how the last stages learn; covariance: only how the classes vary is learnt, nothing trains"
    )
    way: int = Field(20, ge=2, description="classes of an episode")
    shot: int = Field(1, ge=1, description="examples of each class that an episode learns from")
    queries: int = Field(4, ge=1, description="other examples of each class that it is judged by")
    last: int = Field(2, ge=1, description="stages to train, counted from the output", when=when(method=TRAINED))
    epochs: int = Field(20, ge=1, description="epochs of episodes", when=when(method=TRAINED))
    learning_rate: float = Field(1e-3, gt=0, le=10, description="learning rate of the stages", when=when(method=TRAINED))
    inner_rate: float = Field(0.01, gt=0, description="learning rate within an episode", when=when(method=BY_STEPS))
    inner_steps: int = Field(3, ge=1, description="steps within an episode", when=when(method=BY_STEPS))
    hold_out: float = Field(
        1 / 6, ge=0, lt=1, description="share of the classes that only judge which weights are kept; 0 keeps the last ones",
        when=when(method=TRAINED),
    )  # fmt: skip
    classifier: Classifier = Field("ridge", description="what learns other classes by a few examples, on their directions")
    views: int = Field(
        3, ge=1, le=3, description="of each picture of option support, to learn their mean: as it is, nearer, farther"
    )  # fmt: skip
    episodes: int = Field(600, ge=2, description="episodes of the classes of option support that the result is measured by")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        trains = self.method != "covariance"
        left_out = held_out.chosen(len(task.classes), self.hold_out) if trains else ()
        drawn = Episodes(min(self.way, len(task.classes) - len(left_out)), self.shot, self.queries, self.episodes, self.views)
        streams = ("train", *(name for name in ("support", "query") if name in task.streams))
        solver = Discriminant(classifier=self.classifier)
        end = Solve(name="classes", rates=backbone.frozen(), streams=streams, solver=solver, episodes=drawn)
        if not trains:
            return Plan((end,))
        loss: Any = Prototypes(drawn)
        if self.method == "reptile":
            loss = Reptile(drawn, self.inner_rate, self.inner_steps)
        elif self.method in BY_STEPS:
            loss = Maml(drawn, self.inner_rate, self.inner_steps, self.method == "fomaml")
        learn = Fit(
            name="episodes", rates=backbone.last(self.last), epochs=self.epochs, learning_rate=self.learning_rate, loss=loss,
            sampler=Without(drawn, left_out), parts={"start": Start()} if self.method in BY_STEPS else {}, head_rate=0,
            select="features" if left_out else "last", score=self._score(left_out) if left_out else None,
        )  # fmt: skip
        return Plan((learn, end))

    def _score(self, left_out: tuple[int, ...]) -> HeldOut:
        """What the weights are chosen by."""
        return HeldOut(left_out, Episodes(min(self.way, len(left_out)), self.shot, JUDGED, CHOOSING), self.classifier)
