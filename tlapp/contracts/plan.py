"""Plans: what a strategy asks the engine to do, as frozen facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Union

from tlapp.contracts.backbone import LoadedBackbone, Rates

if TYPE_CHECKING:
    import numpy as np


class Batch(NamedTuple):
    """Examples of one stream as a loss sees them.

    x is the activation at the cut (a tuple of tensors where several cross it); y is float (batch, classes), rows summing to 1
    (several hot where the head's labels are "many"), or None for an unlabelled stream; weight is float (batch,). views holds the
    several versions of the same examples, each as x, where the phase's augmentation makes more than one a step; x is the first.
    """

    x: Any
    y: Any = None
    weight: Any = None
    views: tuple[Any, ...] = ()


class Weight(NamedTuple):
    """A weight that trains in a phase: its path ("stem_conv/kernel", "head/bias"), its value, and that as the phase began."""

    path: str
    value: Any
    start: Any


class Net(Protocol):
    """All that a loss may touch."""

    @property
    def progress(self) -> Any:
        """Scalar tensor from 0 to 1 through the phase."""
        ...

    def features(self, x: Any, weights: Mapping[str, Any] | None = None) -> Any:
        """Features (batch, size) of activations at the cut.

        `weights` (path -> tensor) take the place of those of these paths in this call, as MAML's inner loop needs it (Finn et
        al. 2017, https://arxiv.org/abs/1703.03400); what a layer notes in this call, such as statistics, is lost then.
        """
        ...

    def head(self, features: Any, weights: Mapping[str, Any] | None = None) -> Any:
        """The head's outputs (batch, classes), before any softmax; `weights` as of `features`."""
        ...

    def weights(self) -> tuple[Weight, ...]:
        """All weights that train in the phase, the head's included, those of parts left out."""
        ...

    def average(self, x: Any) -> Any:
        """The outputs (batch, classes) of the moving average of the weights, in inference mode, without a gradient.

        Needs `Fit.average`. It is the teacher of Tarvainen & Valpola 2017 (https://arxiv.org/abs/1703.01780).
        """
        ...

    def part(self, name: str) -> Any:
        """The part of that name, a Keras layer."""
        ...

    def task_loss(self, batch: Batch, outputs: Any = None) -> Any:
        """The head's own loss on a labelled batch, weighted and averaged: a scalar; of `outputs`, where they are known."""
        ...


Loss = Callable[[Net, Mapping[str, Batch]], Mapping[str, Any]]
"""(net, {stream: batch}) -> {term: scalar}; the engine minimises their sum. A term under stop_gradient is only logged."""

PartFactory = Callable[[], Any]
"""() -> an unbuilt Keras layer, trained with the phase and never exported."""

Solver = Callable[["np.ndarray", "np.ndarray", int], Any]
"""(features (n, size) float32, labels (n,) int, number of classes) -> a built Keras layer from features to outputs."""

Labeller = Callable[["np.ndarray", "np.ndarray"], "tuple[np.ndarray, np.ndarray]"]
"""(features (n, size), probabilities (n, classes)) -> labels (n, classes), rows summing to 1, and weights (n,), 0 = left out."""

Select = Union[Literal["val", "accuracy", "last", "target"], Callable[["np.ndarray", float], float]]  # noqa: UP007 - for 3.10
"""What the best weights are chosen by.

"val": the loss on val. "accuracy": the accuracy on val. "last": nothing; the phase's last weights are kept, and it does not stop
early. "target": a score of what the model says of the target, without its labels. A function of one's own: (probabilities of
each target example (n, classes), accuracy on val, 0 where there is none) -> score, higher is better.
"""

Graft = Callable[[LoadedBackbone], Any]
"""A loaded backbone -> a functional Keras model on the same input; layers without a stage are what was grafted."""


class Sampler(Protocol):
    """Chooses which examples of the pacing stream make a batch."""

    def batches(self, labels: np.ndarray, rng: np.random.Generator, steps: int) -> Iterator[np.ndarray]:
        """Yield `steps` arrays of row numbers, all of one length."""
        ...


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
        epochs: at most so many; early stopping may end it before.
        learning_rate: of stages at rate 1, of the head, of the parts and of what was grafted.
        loss: None for the head's own.
        parts: name -> factory of a layer that lives while the phase does. The part "aux" is the head of the stream aux, features
            to (batch, aux classes): one layer, kept from phase to phase, and measured at the end on what was held out of aux.
        sampler: None for shuffled batches.
        batch_norm: in live stages. "frozen" uses the stored statistics and trains neither scale nor shift; "affine" trains
            both on the stored statistics; "update" trains both and moves the statistics.
        only: path of a backbone's variable ("stem_conv/kernel") -> whether it trains where its stage does; None for all. The
            head, the parts and what was grafted always train.
        labeller: labels the target stream, once, from what the model says of it when the phase begins.
        weight_decay: decoupled (AdamW); None for the option weight_decay.
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
    average: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Statistics(Phase):
    """A phase that trains nothing: it takes the batch-norm statistics of live stages anew, from the streams' pictures.

    With the target's pictures this is AdaBN (Li et al. 2016, https://arxiv.org/abs/1603.04779).
    """


@dataclass(frozen=True, kw_only=True)
class Blend(Phase):
    """A phase that trains nothing: of the weights on the line from those that an earlier phase began with to the present ones,
    the head's included, it takes those that val rates best (WiSE-FT: Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).

    Its rates must be above 0 for every stage that trained since; without val, the present weights stay.

    Attributes:
        since: name of the earlier phase.
        steps: how many weights are tried besides the present ones, evenly spaced, those at the beginning included.
    """

    since: str
    steps: int = 10


@dataclass(frozen=True, kw_only=True)
class Solve(Phase):
    """A phase that finds the head in closed form on features; every stage must be frozen."""

    solver: Solver


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
    """The phases, in order, alternatives among them, and at most one graft, made before the first of them."""

    phases: tuple[Phase | OneOf, ...]
    graft: Graft | None = None
