"""What the functions of a strategy get and give: losses, samplers, solvers, labellers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Union, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


class Batch(NamedTuple):
    """Examples of one stream as a loss sees them.

    x is the activation at the cut (a tuple of tensors where several cross it); y is float (batch, classes), rows summing to 1
    (several hot where the head's labels are "many"), or None for an unlabelled stream; weight is float (batch,). views holds the
    several versions of the same examples, each as x, where the phase's augmentation makes more than one a step; x is the first.
    guides holds what each of `Fit.guides` says of x, (batch, ...). rows are the numbers of the examples in their stream, (batch,)
    int64: an example has the same one in each epoch and process.
    """

    x: Any
    y: Any = None
    weight: Any = None
    views: tuple[Any, ...] = ()
    guides: Mapping[str, Any] = MappingProxyType({})
    rows: Any = None


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
"""(features (n, size) float32, labels (n,) int, number of classes) -> a built Keras layer from features to outputs.

Or a pair of the layer and a sentence on it, which the user is told. One that is also a `Teachable` keeps what it learnt in the
run, for `tlapp teach`.
"""


@runtime_checkable
class Weighted(Protocol):
    """What a solver has besides being called, where its examples may count differently (option class_weights)."""

    def weighted(self, weights: np.ndarray) -> Solver:
        """The same solver for examples that count by `weights`, (n,), of mean 1 and none below 0."""
        ...


@runtime_checkable
class Teachable(Protocol):
    """What a solver has besides being called, where a finished run may be taught more classes and examples."""

    def learn(
        self, memory: Mapping[str, np.ndarray] | None, features: np.ndarray, labels: np.ndarray, classes: int
    ) -> Mapping[str, np.ndarray]:
        """What to remember of the examples that `memory` (None: none) is of and of these; `classes` may have grown."""
        ...

    def layer(self, memory: Mapping[str, np.ndarray]) -> Any:
        """The layer that a call with all those examples would have returned."""
        ...


@runtime_checkable
class FewShot(Teachable, Protocol):
    """What a solver has besides, where its memory of many classes helps to learn others from a few examples (`tlapp adapt`)."""

    def few(self, memory: Mapping[str, np.ndarray]) -> Callable[[np.ndarray, np.ndarray, int], Any]:
        """A function that learns other classes than the memory's: (features (n, size), labels (n,) int, number of classes) -> a
        built layer from features to outputs. It may be called many times.
        """
        ...


@dataclass(frozen=True)
class OnDevice:
    """A head that a phone teaches by itself, in a TFLite file of built-in operations (`tlapp export --on-device`).

    Attributes:
        state: arrays by names, which the file keeps, changes, gives away and takes back.
        outputs: (features (1, size), state) -> outputs (1, classes): those known, then those for which there is room.
        learned: (features (1, size), 1 at the class and 0 elsewhere (1, classes), state) -> the state with that example.
    """

    state: Mapping[str, np.ndarray]
    outputs: Callable[[Any, Mapping[str, Any]], Any]
    learned: Callable[[Any, Any, Mapping[str, Any]], Mapping[str, Any]]


@runtime_checkable
class TeachableOnDevice(Teachable, Protocol):
    """What a solver has besides, where its head can go on learning in a TFLite file, example by example."""

    def on_device(self, memory: Mapping[str, np.ndarray], room: int) -> OnDevice:
        """The head of all remembered examples, with room for so many classes more."""
        ...


Labeller = Callable[["np.ndarray", "np.ndarray"], "tuple[np.ndarray, np.ndarray]"]
"""(features (n, size), probabilities (n, classes)) -> labels (n, classes), rows summing to 1, and weights (n,), 0 = left out."""

Select = Union[Literal["val", "accuracy", "last", "target", "features"], Callable[["np.ndarray", float], float]]  # noqa: UP007 - for 3.10
"""What the best weights are chosen by.

"val": the last weights of a phase that trains stages or grafts, unless val says that they are spoilt; the lowest loss on val of
one that trains only the head, and of any where the option patience is given. "accuracy": the accuracy on val. "last": nothing;
the phase's last weights are kept, and it does not stop early. "target": a score of what the model says of the target, without
its labels. "features": what `Fit.score` says of the features of train, as for a head that is yet to be made. A function of one's
own: (probabilities of each target example (n, classes), accuracy on val, 0 where there is none) -> score, higher is better.
"""


class FeatureScore(Protocol):
    """How good features are: what `Fit.score` holds. Accuracy on classes that the phase does not train on is one."""

    def rows(self, labels: np.ndarray) -> np.ndarray:
        """The numbers (n,) of the examples of train that it looks at, by the labels (rows of train,) of all."""
        ...

    def __call__(self, features: np.ndarray, labels: np.ndarray) -> float:
        """The score of these examples by their features (n, size), without augmentation, and labels (n,); higher is better."""
        ...


class Sampler(Protocol):
    """Chooses which examples of the pacing stream make a batch."""

    def batches(self, labels: np.ndarray, rng: np.random.Generator, steps: int) -> Iterator[np.ndarray]:
        """Yield `steps` arrays of row numbers, all of one length."""
        ...


class Episodes(NamedTuple):
    """Small tasks to learn by or to be judged by: some classes, and a few examples of each (Vinyals et al. 2016,
    https://arxiv.org/abs/1606.04080). It is a `Sampler` too, of one episode a batch, one class after the other.

    Attributes:
        way: classes of an episode.
        shot: examples of each to learn from.
        query: other examples of each to be judged by.
        number: how many episodes a result is the mean of.
        views: of each picture to learn from, whose mean features are learnt: 1 as it is, 2 also a little nearer, 3 also a little
            farther. It counts where a result is measured.
    """

    way: int
    shot: int
    query: int
    number: int = 600
    views: int = 1

    def batches(self, labels: np.ndarray, rng: np.random.Generator, steps: int) -> Iterator[np.ndarray]:
        """Yield `steps` episodes, arrays (way * (shot + query),) of row numbers. A class of fewer examples repeats them."""
        import numpy as np

        rows_of = [np.flatnonzero(labels == number) for number in np.unique(labels)]
        for _ in range(steps):
            chosen = rng.choice(len(rows_of), self.way, replace=len(rows_of) < self.way)
            yield np.concatenate([np.resize(rng.permutation(rows_of[n]), self.shot + self.query) for n in chosen])
