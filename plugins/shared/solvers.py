"""Solvers: the best head for fixed features, found by scikit-learn, returned as a built Keras layer. Here the linear ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from tlapp_plugins.shared import solver_layers
from tlapp_plugins.shared.model_selection import Choice, cross_validate, sample
from tlapp_plugins.shared.solver_layers import Scaling

if TYPE_CHECKING:
    import numpy as np

UNSEEN = 10.0
"""How far the output of a class without examples lies below the lowest other one: never chosen, yet cheap for int8 to span."""


@dataclass(frozen=True)
class ScaledSolver(ABC):
    """Scales the features, numbers the classes that have examples, and leaves the rest to `solve`.

    Attributes:
        folds: of the cross-validation that chooses what is None.
        weights: of the examples, (n,); None where each counts as much.
    """

    folds: int = 3
    weights: np.ndarray | None = None

    def weighted(self, weights: np.ndarray) -> ScaledSolver:
        """As `tlapp.contracts.Weighted`."""
        return replace(self, weights=weights)

    def weights_of(self, rows: np.ndarray | slice) -> np.ndarray | None:
        """The weights of some of the examples."""
        return None if self.weights is None else self.weights[rows]

    def __call__(self, features: np.ndarray, labels: np.ndarray, classes: int) -> Any:
        import numpy as np
        from threadpoolctl import threadpool_limits

        scaling = self.scaling(features)
        seen, numbers = np.unique(labels, return_inverse=True)
        # The products are too small to share: on busy cores several BLAS threads wait for each other, 10 to 50 times as long.
        with threadpool_limits(1):
            return self.solve(scaling.apply(features), numbers, Outputs(seen, classes), scaling)

    def scaling(self, features: np.ndarray) -> Scaling:
        """How the features are scaled."""
        return Scaling.of(features)

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
class Linear(ScaledSolver, ABC):
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
            model = self.estimator(choice.setting, final=True).fit(features, labels, sample_weight=self.weights)
            kernel, bias = (part / choice.temperature for part in one_column_a_class(model.coef_.T, model.intercept_))
        lowest = float((features @ kernel + bias).min())
        kernel, bias = outputs.widen(kernel, bias, lowest)
        return solver_layers.linear(kernel, bias, scaling)

    def choose(self, features: np.ndarray, labels: np.ndarray) -> Choice:
        """The penalty and, where the outputs need one, the temperature."""
        if self.penalty is not None and not self.calibrate:
            return Choice(self.penalty)
        rows = sample(len(labels), self.limit)
        few, numbers, counts = features[rows], renumber(labels[rows]), self.weights_of(rows)

        def scores(penalty: float, train: np.ndarray, test: np.ndarray) -> np.ndarray:
            weights = None if counts is None else counts[train]
            model = self.estimator(penalty, final=False).fit(few[train], numbers[train], sample_weight=weights)
            kernel, bias = one_column_a_class(model.coef_.T, model.intercept_)
            return few[test] @ kernel + bias

        grid, start = (self.grid, self.start) if self.penalty is None else ((self.penalty,), self.penalty)
        return cross_validate(numbers, self.folds, grid, start, scores, calibrate=self.calibrate, weights=counts)


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

    grid: ClassVar = tuple(1 / c for c in (0.03, 0.1, 0.3, 1, 3, 10, 30))
    start: ClassVar = 1.0
    calibrate: ClassVar = True

    def estimator(self, penalty: float, *, final: bool) -> Any:
        from sklearn.svm import LinearSVC

        return LinearSVC(C=1 / penalty, tol=1e-4 if final else 1e-2, max_iter=20_000 if final else 1000, random_state=0)


def one_column_a_class(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias with a column a class: scikit-learn gives but one for two classes."""
    import numpy as np

    if kernel.shape[1] > 1:
        return kernel, bias
    return np.hstack([-kernel / 2, kernel / 2]), np.hstack([-bias / 2, bias / 2])


def renumber(labels: np.ndarray) -> np.ndarray:
    """Labels from 0 without gaps, in the same order."""
    import numpy as np

    return np.unique(labels, return_inverse=True)[1]
