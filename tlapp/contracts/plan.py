"""Plans: what a strategy asks the engine to do, as frozen facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tlapp.contracts.backbone import LoadedBackbone, Rates
from tlapp.contracts.losses import Episodes, FeatureScore, Labeller, Loss, PartFactory, Sampler, Select, Solver

Graft = Callable[[LoadedBackbone], Any]
"""A loaded backbone -> a functional Keras model on the same input; layers without a stage are what was grafted."""

Finish = Callable[[Any], Any]
"""The deployed model, a functional Keras model from examples to answers -> one that answers the same, as with branches merged."""


@dataclass(frozen=True)
class Augment:
    """A random change of pictures, before the cut.

    Attributes:
        apply: ((batch, size, size, 3) float32 0-255 tensor, integer seed) -> the same shape and range. A function that has a
            parameter `copy` is told which copy it makes, counted from 0 (or the epoch, where `views` is None).
        views: None draws afresh each epoch (nothing is cached); K makes K seeded copies of each picture, which are.
        name: part of the cache's key and of the printed plan.
        per_step: versions of each picture that a step sees, as `Batch.views`; with `views`, at most as many; if as many,
            they are all the copies, in order.
        reference: a stream whose pictures `apply` gets after the seed, of the first one's shape and drawn at random; that
            stream itself stays as it is.
    """

    apply: Callable[..., Any]
    views: int | None = None
    name: str = "augment"
    per_step: int = 1
    reference: str | None = None


@dataclass(frozen=True)
class Guide:
    """What a model or function says of each example, for a loss to learn from, such as a teacher's outputs.

    It is asked before the phase trains, once an example, or once an example and copy where the augmentation makes a number of
    copies; where it draws afresh each epoch, at each step.

    Attributes:
        apply: pictures as they enter the network, a float32 tensor (batch, size, size, 3) of 0-255 (of an input of several
            tensors, a tuple of them) -> an array (batch, ...) of finite numbers.
        key: of what it says, such as a digest of the teacher's weights: with it, answers are kept in the cache from run to run.
    """

    apply: Callable[[Any], Any]
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of training.

    Attributes:
        name: for the plan, the progress bar and history.csv.
        rates: THE statement of what trains; covers every stage.
        streams: named sets of examples; the first one paces the epoch.
        augment: None leaves it to the option augment.
        augments: several to choose from: the engine takes, as `augment`, the one that brings the mean and deviation of the first
            stream's features nearest to those of the target's; of the second's, where the first is the target.
        select: what the best weights are chosen by. The weights that a phase begins with are a candidate too, except for "last".
        alternative: of contract 1.1: neighbours that have it are taken for a `OneOf`, which is what to write instead.
    """

    name: str
    rates: Rates
    streams: tuple[str, ...] = ("train",)
    augment: Augment | None = None
    augments: tuple[Augment, ...] = ()
    select: Select = "val"
    alternative: bool = False


@dataclass(frozen=True, kw_only=True)
class Fit(Phase):
    """A phase that trains by gradient.

    Attributes:
        epochs: the maximum; early stopping may end the phase earlier.
        learning_rate: of stages at rate 1, of the head, of the parts and of what was grafted.
        score: of the features; needs `select="features"`, which needs it.
        head_rate: factor of the head's learning rate; 0 freezes the head, which is then in inference mode.
        graft_rate: factor of the learning rate of what was grafted; 0 freezes it.
        loss: None for the head's own.
        parts: name -> factory of a layer that lives while the phase does. The part "aux" is the head of the stream aux, features
            to (batch, aux classes): one layer, kept from phase to phase, and measured at the end on what was held out of aux.
        sampler: None for shuffled batches.
        batch_norm: in live stages. "frozen" uses the stored statistics and trains neither scale nor shift; "affine" trains
            both on the stored statistics; "update" trains both and moves the statistics.
        only: path of a backbone's variable ("stem_conv/kernel") -> whether it trains where its stage does; None for all. The
            head, the parts and what was grafted train regardless.
        labeller: labels the target stream, once, from what the model says of it when the phase begins.
        weight_decay: decoupled (AdamW); None for the option weight_decay.
        guides: name -> what some model or function says of each example; a loss finds it in `Batch.guides`.
        average: decay of a moving average of what trains, such as 0.99; 0 keeps none. The average is then what val judges, what
            is kept as best, and what the next phase, the test and the exports get. Choose it so that 1 / (1 - average) steps
            are an epoch or fewer.
    """

    epochs: int
    learning_rate: float
    loss: Loss | None = None
    parts: Mapping[str, PartFactory] = field(default_factory=dict)
    sampler: Sampler | None = None
    batch_norm: Literal["frozen", "affine", "update"] = "frozen"
    only: Callable[[str], bool] | None = None
    labeller: Labeller | None = None
    weight_decay: float | None = None
    guides: Mapping[str, Guide] = field(default_factory=dict)
    average: float = 0.0
    head_rate: float = 1.0
    graft_rate: float = 1.0
    score: FeatureScore | None = None


@dataclass(frozen=True, kw_only=True)
class Statistics(Phase):
    """A phase that trains nothing: it takes the batch-norm statistics of live stages anew, from the streams' pictures.

    With the target's pictures this is AdaBN (Li et al. 2016, https://arxiv.org/abs/1603.04779).
    """


@dataclass(frozen=True, kw_only=True)
class Blend(Phase):
    """A phase that trains nothing: of the weights on the line from those that an earlier phase began with to the present ones,
    the head's included, it takes those that val rates best (WiSE-FT: Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).

    Its rates must be above 0 for every stage that trained since; without val, the present weights stay. With `select="last"`
    nothing is rated, and the weights go back to those that the earlier phase began with.

    Attributes:
        since: name of the earlier phase.
        steps: how many weights are tried besides the present ones, evenly spaced, those at the beginning included.
    """

    since: str
    steps: int = 10


@dataclass(frozen=True, kw_only=True)
class Solve(Phase):
    """A phase that finds the head in closed form on features; every stage must be frozen.

    Attributes:
        episodes: by which a solver that is a `FewShot` is judged on the streams support and query, where the phase names them.
    """

    solver: Solver
    episodes: Episodes | None = None


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """Alternatives, in the place of a phase: each begins with the same weights, and the best end, or that beginning, is kept.

    Attributes:
        phases: the alternatives, a phase each.
        select: what they are compared by; the phases' own `select` does not count.
    """

    phases: tuple[Phase, ...]
    select: Select = "target"


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        phases: in order, alternatives among them.
        graft: changes the network before the first phase.
        finish: changes the model after the last phase. What it returns must answer the same, and is what is saved and exported.
    """

    phases: tuple[Phase | OneOf, ...]
    graft: Graft | None = None
    finish: Finish | None = None
