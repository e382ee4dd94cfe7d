"""Solvers: the best head for fixed features, found by scikit-learn, returned as a built Keras layer."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tlapp_plugins import solver_layers
from tlapp_plugins.model_selection import Choice, cross_validate, sample
from tlapp_plugins.solver_layers import Scaling

if TYPE_CHECKING:
    import numpy as np

UNSEEN = 10.0
"""How far the output of a class without examples lies below the lowest other one: never chosen, yet cheap for int8 to span."""


@dataclass(frozen=True)
class ScaledSolver:
    """Scales the features, numbers the classes that have examples, and leaves the rest to `solve`.

    Attributes:
        folds: of the cross-validation that chooses what is None.
    """

    folds: int = 3

    def __call__(self, features: np.ndarray, labels: np.ndarray, classes: int) -> Any:
        import numpy as np
        from threadpoolctl import threadpool_limits

        scaling = Scaling.of(features)
        seen, numbers = np.unique(labels, return_inverse=True)
        # The products are too small to share: where cores are busy, several BLAS threads wait for each other, 10 to 50 times as long.
        with threadpool_limits(1):
            return self.solve(scaling.apply(features), numbers, Outputs(seen, classes), scaling)

    @abstractmethod
    def solve(self, features: np.ndarray, labels: np.ndarray, outputs: Outputs, scaling: Scaling) -> Any:
        """The layer; `features` are scaled, `labels` run from 0 without gaps."""


@dataclass(frozen=True)
class Outputs:
    """Where the classes that have examples stand among all."""

    seen: np.ndarray
    classes: int

    def widen(self, kernel: np.ndarray, bias: np.ndarray, lowest: float) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias for all classes from those for the seen ones, whose lowest output is given."""
        import numpy as np

        wide = np.zeros((len(kernel), self.classes), "float32")
        wide[:, self.seen] = kernel
        level = np.full(self.classes, lowest - UNSEEN, "float32")
        level[self.seen] = bias
        return wide, level


@dataclass(frozen=True)
class Linear(ScaledSolver):
    """A linear function of the features, by an estimator with `coef_`, `intercept_` and an inverse penalty C.

    Attributes:
        penalty: weight of the squared weights against the summed loss, of features of mean squared length 1; None to choose.
    """

    penalty: float | None = None
    limit: ClassVar[int] = 3000
    grid: ClassVar[tuple[float, ...]]
    start: ClassVar[float]
    calibrate: ClassVar[bool]

    @abstractmethod
    def estimator(self, penalty: float, *, final: bool) -> Any:
        """The scikit-learn estimator, unfitted."""

    def solve(self, features: np.ndarray, labels: np.ndarray, outputs: Outputs, scaling: Scaling) -> Any:
        import numpy as np

        kernel, bias = np.zeros((features.shape[1], 1)), np.zeros(1)
        if len(outputs.seen) > 1:
            choice = self.choose(features, labels)
            model = self.estimator(choice.setting, final=True).fit(features, labels)
            kernel, bias = (part / choice.temperature for part in _one_column_a_class(model.coef_.T, model.intercept_))
        lowest = float((features @ kernel + bias).min())
        kernel, bias = outputs.widen(kernel, bias, lowest)
        return solver_layers.linear(kernel, bias, scaling)

    def choose(self, features: np.ndarray, labels: np.ndarray) -> Choice:
        """The penalty and, where the outputs need one, the temperature."""
        if self.penalty is not None and not self.calibrate:
            return Choice(self.penalty)
        rows = sample(len(labels), self.limit)
        few, numbers = features[rows], _renumber(labels[rows])

        def scores(penalty: float, train: np.ndarray, test: np.ndarray) -> np.ndarray:
            model = self.estimator(penalty, final=False).fit(few[train], numbers[train])
            kernel, bias = _one_column_a_class(model.coef_.T, model.intercept_)
            return few[test] @ kernel + bias

        grid, start = (self.grid, self.start) if self.penalty is None else ((self.penalty,), self.penalty)
        return cross_validate(numbers, self.folds, grid, start, scores, calibrate=self.calibrate)


@dataclass(frozen=True)
class Logistic(Linear):
    """Multinomial logistic regression."""

    grid: ClassVar = tuple(1 / c for c in (0.3, 1, 3, 10, 30, 100, 300, 1000, 3000))
    start: ClassVar = 1 / 30
    calibrate: ClassVar = False  # the log loss chose the penalty, and so the sharpness

    def estimator(self, penalty: float, *, final: bool) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=1 / penalty, tol=1e-5 if final else 1e-4, max_iter=2000)


@dataclass(frozen=True)
class LinearSvm(Linear):
    """A linear support vector machine for each class against the rest."""

    grid: ClassVar = tuple(1 / c for c in (0.03, 0.1, 0.3, 1, 3, 10, 30, 100))
    start: ClassVar = 1.0
    calibrate: ClassVar = True

    def estimator(self, penalty: float, *, final: bool) -> Any:
        from sklearn.svm import LinearSVC

        return LinearSVC(C=1 / penalty, tol=1e-4 if final else 1e-2, max_iter=20_000 if final else 1000, random_state=0)


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
    gamma: ClassVar[float] = 1.0  # scikit-learn's "scale", since the features' variances sum to 1

    def solve(self, features: np.ndarray, labels: np.ndarray, outputs: Outputs, scaling: Scaling) -> Any:
        import numpy as np

        if len(outputs.seen) == 1:
            kernel, bias = outputs.widen(np.zeros((features.shape[1], 1)), np.zeros(1), 0.0)
            return solver_layers.linear(kernel, bias, scaling)
        choice = self.choose(features, labels)
        similarity = _gaussians(features, self.gamma)
        duals, bias = _one_column_a_class(*fit_one_against_rest(similarity, labels, choice.setting))
        duals, bias = duals / choice.temperature, bias / choice.temperature
        used = duals.any(axis=1)
        lowest = float((similarity @ duals + bias).min())
        wide = outputs.widen(duals[used], bias, lowest)
        return solver_layers.kernel_machine(features[used], self.gamma, *wide, scaling)

    def choose(self, features: np.ndarray, labels: np.ndarray) -> Choice:
        """The penalty and the temperature."""
        rows = sample(len(labels), self.limit)
        similarity, numbers = _gaussians(features[rows], self.gamma), _renumber(labels[rows])

        def scores(penalty: float, train: np.ndarray, test: np.ndarray) -> np.ndarray:
            duals, bias = fit_one_against_rest(similarity[train][:, train], numbers[train], penalty)
            kernel, bias = _one_column_a_class(duals, bias)
            return similarity[test][:, train] @ kernel + bias

        grid, start = (self.grid, self.start) if self.penalty is None else ((self.penalty,), self.penalty)
        return cross_validate(numbers, self.folds, grid, start, scores, calibrate=True)


@dataclass(frozen=True)
class Neighbours(ScaledSolver):
    """The votes of the nearest training examples by cosine, nearer ones counting more.

    Attributes:
        k: how many vote; None to choose.
    """

    k: int | None = None
    limit: ClassVar[int] = 4000

    def solve(self, features: np.ndarray, labels: np.ndarray, outputs: Outputs, scaling: Scaling) -> Any:
        import numpy as np

        points = _unit(features)
        k, temperature, floor = self.choose(points, labels)
        votes = np.zeros((len(labels), outputs.classes), "float32")
        votes[np.arange(len(labels)), outputs.seen[labels]] = 1.0
        return solver_layers.neighbours(points, votes, k, temperature, floor, scaling)

    def choose(self, points: np.ndarray, labels: np.ndarray) -> tuple[int, float, float]:
        """Neighbours, temperature and floor of the votes of least log loss when each example is left out."""
        import itertools

        import numpy as np

        ks = (1, 3, 5, 10, 20, 40) if self.k is None else (self.k,)
        ks = tuple(dict.fromkeys(min(k, len(labels)) for k in ks))
        rows = sample(len(labels), self.limit)
        cosines, agree = _nearest(points[rows], labels[rows], max(ks))
        settings = itertools.product(ks, (0.02, 0.04, 0.08, 0.16, 0.32), (0.001, 0.003, 0.01, 0.03, 0.1))
        classes = len(np.unique(labels))
        return min(settings, key=lambda setting: _vote_loss(cosines, agree, classes, *setting))


def fit_one_against_rest(similarity: np.ndarray, labels: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Dual coefficients (examples, columns) and biases of one machine a class; one column for two classes."""
    import numpy as np
    from sklearn.svm import SVC

    count = labels.max() + 1
    targets = [labels == c for c in range(count)] if count > 2 else [labels == 1]
    duals, biases = np.zeros((len(labels), len(targets))), np.zeros(len(targets))
    for column, target in enumerate(targets):
        model = SVC(C=1 / penalty, kernel="precomputed", cache_size=500).fit(similarity, target)
        duals[model.support_, column] = model.dual_coef_[0]
        biases[column] = model.intercept_[0]
    return duals, biases


def _one_column_a_class(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    if kernel.shape[1] > 1:
        return kernel, bias
    return np.hstack([-kernel / 2, kernel / 2]), np.hstack([-bias / 2, bias / 2])


def _renumber(labels: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.unique(labels, return_inverse=True)[1]


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


def _vote_loss(cosines: np.ndarray, agree: np.ndarray, classes: int, k: int, temperature: float, floor: float) -> float:
    import numpy as np
    from scipy.special import softmax

    weights = softmax(cosines[:, :k] / temperature, axis=1)
    share = (weights * agree[:, :k]).sum(axis=1)
    return float(-np.log((share + floor) / (1 + classes * floor)).mean())
