"""Solvers that keep training examples: support vectors, nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tlapp_plugins.shared import solver_layers
from tlapp_plugins.shared.model_selection import Choice, cross_validate, sample
from tlapp_plugins.shared.solver_layers import Scaling, Voting
from tlapp_plugins.shared.solvers import Outputs, ScaledSolver, one_column_a_class, renumber

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class RbfSvm(ScaledSolver):
    """A support vector machine with Gaussian kernels for each class against the rest.

    Attributes:
        penalty: as in `Linear`; None to choose.
    """

    penalty: float | None = None
    limit: ClassVar[int] = 2000
    grid: ClassVar = tuple(1 / c for c in (0.1, 0.3, 1, 3, 10, 30, 100))
    start: ClassVar = 1 / 3
    gamma: ClassVar[float] = 0.5  # two examples are at a mean squared distance of 2: their typical similarity is 1/e

    def solve(self, features: np.ndarray, labels: np.ndarray, outputs: Outputs, scaling: Scaling) -> Any:
        import numpy as np

        if len(outputs.seen) == 1:
            kernel, bias = outputs.widen(np.zeros((features.shape[1], 1)), np.zeros(1), 0.0)
            return solver_layers.linear(kernel, bias, scaling)
        choice = self.choose(features, labels)
        similarity = _gaussians(features, self.gamma)
        duals, bias = one_column_a_class(*fit_one_against_rest(similarity, labels, choice.setting, self.weights))
        duals, bias = duals / choice.temperature, bias / choice.temperature
        used = duals.any(axis=1)
        lowest = float((similarity @ duals + bias).min())
        wide = outputs.widen(duals[used], bias, lowest)
        return solver_layers.kernel_machine(features[used], self.gamma, *wide, scaling)

    def choose(self, features: np.ndarray, labels: np.ndarray) -> Choice:
        """The penalty and the temperature."""
        rows = sample(len(labels), self.limit)
        similarity, numbers, counts = _gaussians(features[rows], self.gamma), renumber(labels[rows]), self.weights_of(rows)

        def scores(penalty: float, train: np.ndarray, test: np.ndarray) -> np.ndarray:
            weights = None if counts is None else counts[train]
            duals, bias = fit_one_against_rest(similarity[train][:, train], numbers[train], penalty, weights)
            kernel, bias = one_column_a_class(duals, bias)
            return similarity[test][:, train] @ kernel + bias

        grid, start = (self.grid, self.start) if self.penalty is None else ((self.penalty,), self.penalty)
        return cross_validate(numbers, self.folds, grid, start, scores, calibrate=True, weights=counts)


@dataclass(frozen=True)
class Neighbours(ScaledSolver):
    """The votes of the nearest training examples by cosine, nearer ones counting more.

    Attributes:
        k: how many vote; None to choose.
    """

    k: int | None = None
    limit: ClassVar[int] = 4000
    ks: ClassVar = (1, 3, 5, 10, 20, 40)
    temperatures: ClassVar = (0.02, 0.04, 0.08, 0.16, 0.32)
    floors: ClassVar = (0.001, 0.003, 0.01, 0.03, 0.1)

    def solve(self, features: np.ndarray, labels: np.ndarray, outputs: Outputs, scaling: Scaling) -> Any:
        import numpy as np

        points = _unit(features)
        voting = self.choose(points, labels)
        votes = np.zeros((len(labels), outputs.classes), "float32")
        votes[np.arange(len(labels)), outputs.seen[labels]] = 1.0 if self.weights is None else self.weights
        return solver_layers.neighbours(points, votes, voting, scaling)

    def choose(self, points: np.ndarray, labels: np.ndarray) -> Voting:
        """The way of voting of least log loss when each example is left out."""
        import itertools

        import numpy as np

        rows = sample(len(labels), self.limit)
        ks = sorted({min(k, len(rows)) for k in ((self.k,) if self.k else self.ks)})
        cosines, agree = _nearest(points[rows], labels[rows], max(ks))
        ways = itertools.starmap(Voting, itertools.product(ks, self.temperatures, self.floors))
        classes = len(np.unique(labels))
        return min(ways, key=lambda voting: _vote_loss(cosines, agree, classes, voting))


def fit_one_against_rest(
    similarity: np.ndarray, labels: np.ndarray, penalty: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Dual coefficients (examples, columns) and biases of one machine a class; one column for two classes."""
    import numpy as np
    from sklearn.svm import SVC

    count = labels.max() + 1
    targets = [labels == c for c in range(count)] if count > 2 else [labels == 1]
    duals, biases = np.zeros((len(labels), len(targets))), np.zeros(len(targets))
    for column, target in enumerate(targets):
        model = SVC(C=1 / penalty, kernel="precomputed", cache_size=500).fit(similarity, target, sample_weight=weights)
        duals[model.support_, column] = model.dual_coef_[0]
        biases[column] = model.intercept_[0]
    return duals, biases


def _gaussians(features: np.ndarray, gamma: float) -> np.ndarray:
    import numpy as np

    lengths = (features.astype(np.float64) ** 2).sum(axis=1)
    squares = lengths[:, None] + lengths - 2 * (features @ features.T)
    return np.exp(-gamma * np.maximum(squares, 0.0))


def _unit(features: np.ndarray) -> np.ndarray:
    import numpy as np

    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)


def _nearest(points: np.ndarray, labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each example's `k` nearest others: cosines, nearest first, and whether the labels agree."""
    import numpy as np

    cosines = points @ points.T
    np.fill_diagonal(cosines, -2.0)
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(cosines, rows, axis=1), labels[rows] == labels[:, None]


def _vote_loss(cosines: np.ndarray, agree: np.ndarray, classes: int, voting: Voting) -> float:
    import numpy as np
    from scipy.special import softmax

    weights = softmax(cosines[:, : voting.k] / voting.temperature, axis=1)
    share = (weights * agree[:, : voting.k]).sum(axis=1)
    return float(-np.log((share + voting.floor) / (1 + classes * voting.floor)).mean())
