"""A Gaussian discriminant: its classes share one covariance, so that sums over the examples are all that it need remember."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tlapp_plugins.shared import solver_layers, support
from tlapp_plugins.shared.model_selection import Choice, cross_validate, sample
from tlapp_plugins.shared.solver_layers import Scaling
from tlapp_plugins.shared.solvers import Outputs
from tlapp_plugins.shared.support import Classifier, Space

from tlapp.contracts import OnDevice

if TYPE_CHECKING:
    import numpy as np

GRID = (0.01, 0.03, 0.1, 0.2, 0.4, 0.7)
START = 0.2
LIMIT = 3000
UNSEEN = 1e6
"""How far below zero the output of a class is of which a phone has not seen an example."""


@dataclass(frozen=True)
class Discriminant:
    """Linear discriminant analysis, every class as probable as the others; can be taught further classes and examples.

    The covariance within classes is mixed with a share `shrinkage` of a round one of the same trace (Ledoit and Wolf 2004). Its
    inputs are sums over the examples (as in RanPAC, McDonnell et al. 2023, https://arxiv.org/abs/2307.02251): learning in two
    parts gives what learning at once gives.

    Attributes:
        folds: of the cross-validation that chooses the shrinkage, where it is None, and the temperature.
        shrinkage: from 0 to 1.
        classifier: of `few`.
    """

    folds: int = 3
    shrinkage: float | None = None
    classifier: Classifier = "ridge"

    def __call__(self, features: np.ndarray, labels: np.ndarray, classes: int) -> Any:
        return self.layer(self.learn(None, features, labels, classes))

    def learn(
        self, memory: Mapping[str, np.ndarray] | None, features: np.ndarray, labels: np.ndarray, classes: int
    ) -> dict[str, np.ndarray]:
        """What to remember of all examples so far: `gram` (d + 1, d + 1) and `sums` (d + 1, classes) of features with a 1 behind
        them, `shrinkage` and `temperature`. The last two are chosen on the first examples.
        """
        import numpy as np
        from threadpoolctl import threadpool_limits

        rows = np.hstack([features, np.ones((len(features), 1))]).astype(np.float64)
        with threadpool_limits(1):  # as in ScaledSolver
            gram, sums = rows.T @ rows, rows.T @ np.eye(classes)[labels]
            if memory is None:
                choice = self.choose(features, labels)
                return {
                    "gram": gram, "sums": sums, "shrinkage": np.array(choice.setting), "temperature": np.array(choice.temperature)
                }  # fmt: skip
        known = np.pad(memory["sums"], ((0, 0), (0, classes - memory["sums"].shape[1])))
        return {**memory, "gram": memory["gram"] + gram, "sums": known + sums}

    def layer(self, memory: Mapping[str, np.ndarray]) -> Any:
        """The layer that the remembered examples make: features to outputs, one a class."""
        import numpy as np
        from threadpoolctl import threadpool_limits

        sums, temperature = memory["sums"], float(memory["temperature"])
        seen = np.flatnonzero(sums[-1])
        with threadpool_limits(1):
            found = solved(memory["gram"], sums[:, seen], float(memory["shrinkage"]))
        kernel, bias = found.kernel / temperature, found.bias / temperature
        wide = Outputs(seen, sums.shape[1]).widen(kernel, bias, found.low / temperature)
        return solver_layers.linear(*wide, found.scaling)

    def few(self, memory: Mapping[str, np.ndarray]) -> Callable[[np.ndarray, np.ndarray, int], Any]:
        """Learns other classes by a few examples of each, by their directions in the space in which the classes that `memory` is
        of are round, by their shrunk covariance. It was chosen by docs/results.md, "Few-shot".
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):  # as in ScaledSolver
            space = Space.of(*covariance(memory["gram"], memory["sums"], float(memory["shrinkage"])))

        def learn(features: np.ndarray, labels: np.ndarray, classes: int) -> Any:
            with threadpool_limits(1):
                kernel = support.learn(self.classifier, space.directions(features), labels, classes)
            return space.layer(kernel)

        return learn

    def on_device(self, memory: Mapping[str, np.ndarray], room: int) -> OnDevice:
        """The classes' means, in the space in which they are round; an example moves its class's mean.

        The covariance stays that of the examples in `memory`, as sums cannot be solved by built-in operations of TFLite.
        """
        import keras
        import numpy as np
        from threadpoolctl import threadpool_limits

        sums, temperature = memory["sums"], float(memory["temperature"])
        with threadpool_limits(1):  # as in ScaledSolver
            scaling, within = covariance(memory["gram"], sums, float(memory["shrinkage"]))
            root = Space.of(scaling, within).root
            means = root.T @ (sums[:-1] / np.maximum(sums[-1], 1) - scaling.mean[:, None])
        to_round, origin = root.astype(np.float32), (scaling.mean @ root).astype(np.float32)
        counts = np.pad(sums[-1], (0, room))
        means = np.where(counts, np.pad(means, ((0, 0), (0, room))), 0)

        def outputs(features: Any, state: Mapping[str, Any]) -> Any:
            known = features @ to_round - origin
            near = known @ state["means"] - 0.5 * keras.ops.sum(state["means"] ** 2, axis=0)
            return keras.ops.where(state["counts"] > 0, near / temperature, -UNSEEN)

        def learned(features: Any, label: Any, state: Mapping[str, Any]) -> Mapping[str, Any]:
            known = keras.ops.transpose(features @ to_round - origin)
            step = label / (state["counts"] + 1)
            return {"means": state["means"] + (known - state["means"]) * step, "counts": state["counts"] + label[0]}

        return OnDevice({"means": means.astype(np.float32), "counts": counts.astype(np.float32)}, outputs, learned)

    def choose(self, features: np.ndarray, labels: np.ndarray) -> Choice:
        """The shrinkage and the temperature."""
        import numpy as np

        rows = sample(len(labels), LIMIT)
        few, numbers = features[rows].astype(np.float64), np.unique(labels[rows], return_inverse=True)[1]
        grid, start = (GRID, START) if self.shrinkage is None else ((self.shrinkage,), self.shrinkage)

        def scores(shrinkage: float, train: np.ndarray, test: np.ndarray) -> np.ndarray:
            ones = np.hstack([few[train], np.ones((len(train), 1))])
            hot = np.eye(int(numbers.max()) + 1)[numbers[train]]
            found = solved(ones.T @ ones, ones.T @ hot, shrinkage)
            return (few[test] - found.scaling.mean) / found.scaling.scale @ found.kernel + found.bias

        return cross_validate(numbers, self.folds, grid, start, scores, calibrate=True)


class Solved(NamedTuple):
    """A linear function of scaled features: kernel (d, classes) and bias, and how low its outputs get on the examples, about."""

    scaling: Scaling
    kernel: np.ndarray
    bias: np.ndarray
    low: float


def solved(gram: np.ndarray, sums: np.ndarray, shrinkage: float) -> Solved:
    """The discriminant by `gram` and `sums` as in `learn`; each class has examples.

    Outputs are the logarithm of each class's density, less what all share: x S^-1 m - m S^-1 m / 2, with S the covariance
    within classes and m a class's mean.
    """
    import numpy as np

    scaling, within = covariance(gram, sums, shrinkage)
    means = (sums[:-1] / sums[-1] - scaling.mean[:, None]) / scaling.scale[:, None]
    kernel = np.linalg.solve(within, means)
    bias = -0.5 * (means * kernel).sum(axis=0)
    every = scaled(gram, scaling)
    deviation = np.sqrt(np.maximum((kernel * (every @ kernel)).sum(axis=0), 0))
    return Solved(scaling, kernel, bias, float((bias - 4 * deviation).min()))


def covariance(gram: np.ndarray, sums: np.ndarray, shrinkage: float) -> tuple[Scaling, np.ndarray]:
    """How features are scaled, and the shrunk covariance (d, d) of scaled features within classes."""
    import numpy as np

    count, mean = gram[-1, -1], gram[-1, :-1] / gram[-1, -1]
    scaling = Scaling.by(mean, np.sqrt(np.maximum(np.diag(gram)[:-1] / count - mean**2, 0)))
    seen = sums[:, sums[-1] > 0]
    means = (seen[:-1] / seen[-1] - mean[:, None]) / scaling.scale[:, None]
    within = scaled(gram, scaling) - (means * (seen[-1] / count)) @ means.T
    round_one = max(np.trace(within) / len(within), 1e-9)
    return scaling, (1 - shrinkage) * within + shrinkage * round_one * np.eye(len(within))


def scaled(gram: np.ndarray, scaling: Scaling) -> np.ndarray:
    """The covariance (d, d) of scaled features, of all examples."""
    import numpy as np

    return (gram[:-1, :-1] / gram[-1, -1] - np.outer(scaling.mean, scaling.mean)) / np.outer(scaling.scale, scaling.scale)
