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


class Net(Protocol):
    """All that a loss may touch."""

    progress: Any
    """Scalar tensor from 0 to 1 through the phase."""

    def features(self, x: Any) -> Any:
        """Features (batch, size) of activations at the cut."""
        ...

    def head(self, features: Any) -> Any:
        """The head's outputs (batch, classes), before any softmax."""
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

Select = Union[Literal["val", "target"], Callable[["np.ndarray", float], float]]  # noqa: UP007 - evaluated on 3.10
"""What the best weights are chosen by.

"val": the loss on val. "target": a score of what the model says of the target, without its labels. A function of one's own:
(probabilities of each target example (n, classes), accuracy on val, 0 where there is none) -> score, higher is better.
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
        select: what the best weights are chosen by. The weights that a phase begins with are a candidate too.
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


@dataclass(frozen=True, kw_only=True)
class Statistics(Phase):
    """A phase that trains nothing: it takes the batch-norm statistics of live stages anew, from the streams' pictures.

    With the target's pictures this is AdaBN (Li et al. 2016, https://arxiv.org/abs/1603.04779).
    """


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
