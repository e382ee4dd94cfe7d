"""What the strategies for another domain share: learn the source first, then adapt, and let the target select."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

from tlapp_plugins.shared import styles
from tlapp_plugins.shared.rounds import rounds

from tlapp.contracts import (
    Augment,
    Backbone,
    Blend,
    Field,
    Fit,
    LoadedBackbone,
    OneOf,
    Phase,
    Plan,
    Rates,
    Statistics,
    Strategy,
    Task,
    UserError,
    above,
    other_than,
    when,
)

Style = Literal[
    "none", "auto", "mixed", "grey", "blur", "poster", "sketch", "silhouette", "recolour", "jitter", "shrink", "crop",
    "randaugment", "augmix", "colour", "histogram", "fourier",
]  # fmt: skip
SOFT = 3.0
"""Weight decay where the head alone adapts. Answers stay soft by it, so that the surest of them are worth the word: self-training
on stamps, photographs to clip art, all stages frozen: 0.50 with 1e-4, 0.525 with 1, 0.528 with 10 (one seed)."""
AUTO = ("mixed", "grey", "poster", "sketch", "silhouette", "colour", "histogram", "fourier")
"""What style "auto" tries."""


ROUNDS, SHARE, EPOCHS = 4, 0.9, 4
"""Of the simple candidate: rounds, share of the answers in the last, and epochs of each."""
SOURCE = when(last=above(0), source_epochs=above(0))
"""Stages train on the source."""
SOURCE_STAGES = when(last=above(1), source_epochs=above(0))
"""More than one stage trains on the source."""


class Adapt(Strategy):
    """Train on the source; then adapt to the target, keeping what a score without labels says is best.

    Features are standardised, each domain's by its own mean and deviation: AdaBN (Li et al. 2016,
    https://arxiv.org/abs/1603.04779) where it costs nothing, behind the last stage.
    """

    contract = "1.2"
    last: int = Field(3, ge=0, description="stages that train on the source, counted from the output; 0 trains only the head")
    decay: float = Field(
        1.0, gt=0, le=1, description="learning-rate factor per stage towards the input", when=when(last=above(1))
    )
    warmup: int = Field(20, ge=1, description="maximum epochs of training only the head first")
    warmup_rate: float = Field(1e-3, gt=0, le=10, description="learning rate of the warm-up, and of adapting only the head")
    source_epochs: int = Field(
        10, ge=0, description="maximum epochs of training the stages on only the source", when=when(last=above(0))
    )
    epochs: int = Field(15, ge=1, description="maximum epochs of adapting")
    learning_rate: float = Field(
        5e-4, gt=0, le=10, by_input={"text": 5e-5}, description="learning rate of the last stage and the head"
    )
    style: Style = Field(
        "mixed", by_input={"text": "none"}, description="how pictures are changed; auto: the one nearest to the target's look"
    )
    views: int = Field(8, ge=1, description="changed copies that are cached per picture", when=when(style=other_than("none")))

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        looks = self.looks()
        if looks:
            must_take_pictures(backbone, "set option style=none", self.style)
        return Plan(
            (*self.simple(task, backbone), *self.source(backbone, looks), turn(backbone), *self.adapting(task, backbone)),
            standardised,
        )

    def simple(self, task: Task, backbone: Backbone) -> tuple[Phase, ...]:
        """The cheap candidate, which what trains stages or changes pictures must beat: only the head learns, on the frozen
        network's features of pictures as they are, each domain's standardised by itself; then rounds of self-training.
        """
        if not (self.last and self.source_epochs) and not self.looks():
            return ()  # what follows does no more
        frozen = backbone.frozen()
        return (
            Statistics(name="simple-statistics", rates=frozen),
            Fit(name="simple", rates=frozen, epochs=self.warmup, learning_rate=self.warmup_rate),
            Statistics(name="simple-target", rates=frozen, streams=("target",), select="target"),
            *rounds(task, "simple-round", ROUNDS, SHARE, EPOCHS, self.adapted(backbone, 0), live=False),
            # What follows has the head to learn anew: from one that learnt the target's answers it learnt the source worse.
            Blend(name="fresh", since="simple", rates=frozen, steps=1, select="last"),
        )

    @abstractmethod
    def adapting(self, task: Task, backbone: Backbone) -> tuple[Phase | OneOf, ...]:
        """The phases that adapt the source-only model."""

    def rates(self, backbone: Backbone) -> Rates:
        return backbone.last(self.last, self.decay)

    def source(self, backbone: Backbone, looks: Mapping[str, Any]) -> tuple[Phase, ...]:
        """The phases that make the source-only model, of pictures that look as they say."""
        begin = Statistics(name="source-statistics", rates=backbone.frozen(), **looks)
        warm = Fit(name="warm-up", rates=backbone.frozen(), epochs=self.warmup, learning_rate=self.warmup_rate, **looks)
        if not (self.last and self.source_epochs):
            return (begin, warm)
        rates, epochs = self.rates(backbone), self.source_epochs
        return (begin, warm, Fit(name="source", rates=rates, epochs=epochs, learning_rate=self.learning_rate, **looks))

    def adapted(self, backbone: Backbone, last: int) -> dict[str, Any]:
        """What trains while adapting, at what rate and on what pictures, as a phase's arguments."""
        if not last:
            return {"rates": backbone.frozen(), "learning_rate": self.warmup_rate, "weight_decay": SOFT}
        return {"rates": backbone.last(last, self.decay), "learning_rate": self.learning_rate, **self.looks()}

    def looks(self) -> dict[str, Any]:
        """A phase's augmentation, as its arguments."""
        if self.style == "none":
            return {}
        if self.style == "auto":
            return {"augments": tuple(self.augment(name) for name in AUTO)}
        return {"augment": self.augment(self.style)}

    def augment(self, name: str) -> Augment:
        """A style as an augmentation."""
        if name == "mixed":
            return Augment(styles.mixed, self.views, name)
        if name in styles.PLAIN:
            return Augment(styles.Half(styles.PLAIN[name]), self.views, name)
        return Augment(styles.Half(styles.TOWARDS_TARGET[name]), self.views, name, reference="target")


def must_take_pictures(backbone: Backbone, instead: str, received: str | None = None) -> None:
    """Raise a UserError where a backbone takes no pictures, which are to be changed."""
    if backbone.input.kind != "image":
        words = f"changes how pictures look, and {backbone.name} takes {backbone.input.words}; {instead}"
        raise UserError(words, received, option="style" if received else "plugin")


def turn(backbone: Backbone) -> Statistics:
    """The phase from which on features are standardised as the target's are."""
    return Statistics(name="target-statistics", rates=backbone.frozen(), streams=("target",), select="target")


def standardised(backbone: LoadedBackbone) -> Any:
    """Features less their mean, over their deviation; `Statistics` phases say of which pictures."""
    import keras

    norm = keras.layers.BatchNormalization(center=False, scale=False, epsilon=1e-5, name="standardise")
    return keras.Model(backbone.graph.inputs, norm(backbone.graph.outputs[0]))
