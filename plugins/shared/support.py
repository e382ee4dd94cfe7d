"""Classes learnt from a few examples of each, by what is known of how examples of other classes vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tlapp_plugins.shared import solver_layers
from tlapp_plugins.shared.model_selection import fit_temperature, splits
from tlapp_plugins.shared.solver_layers import Scaling

if TYPE_CHECKING:
    import numpy as np

Classifier = Literal["ridge", "cosine", "logistic"]
ALONE: Mapping[Classifier, float] = {"ridge": 0.0275, "cosine": 0.055, "logistic": 1.0}
"""The temperature where no class has a second example: what suited frozen and trained features of glyphs, about
(docs/results.md, "Few-shot"). The outputs of ridge regression on one example a class are about half its cosines.
"""
FOLDS = 5
"""At most so many times the classifier is fitted to find the temperature."""
PENALTY = 0.1
"""Of logistic regression: half of it times the squared weights stands beside the summed loss."""


class Space(NamedTuple):
    """The space in which known classes are round: the features, less their mean, times `root`; there only directions count.

    Attributes:
        mean: (d,).
        root: (d, d), whose product with its transpose is the inverse of the covariance within the known classes.
    """

    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def of(cls, scaling: Scaling, within: np.ndarray) -> Space:
        """By the covariance (d, d) within classes of scaled features."""
        import numpy as np

        return cls(scaling.mean, np.linalg.cholesky(np.linalg.inv(within)) / scaling.scale[:, None])

    def directions(self, features: np.ndarray) -> np.ndarray:
        """Of features (n, d), in the space: (n, d) of length 1."""
        return unit((features - self.mean) @ self.root)

    def layer(self, kernel: np.ndarray) -> Any:
        """From features to outputs: directions times the kernel (d, classes)."""
        import keras

        x = keras.Input((len(self.root),), name="features")
        round_space = solver_layers.dense(self.root, -self.mean @ self.root, name="whitened")(x)
        direction = keras.layers.UnitNormalization(name="direction")(round_space)
        return keras.Model(x, solver_layers.dense(kernel, None, name="outputs")(direction), name="few_shot")


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    import numpy as np

    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-9)


def ridge(x: np.ndarray, hot: np.ndarray) -> np.ndarray:
    """The kernel (d, classes) of ridge regression with a penalty of 1, of directions x (n, d) on classes (n, classes)."""
    import numpy as np

    return x.T @ np.linalg.solve(x @ x.T + np.eye(len(x)), hot)


def cosine(x: np.ndarray, hot: np.ndarray) -> np.ndarray:
    """The directions of the classes' means, (d, classes)."""
    return unit(hot.T @ x).T


def logistic(x: np.ndarray, hot: np.ndarray) -> np.ndarray:
    """The kernel (d, classes) of multinomial logistic regression without a bias.

    It is a sum of the examples, so that their products are all that the search sees: n numbers a class, not d.
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    products = x @ x.T

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        duals = flat.reshape(hot.shape)
        outputs = products @ duals
        logs = outputs - logsumexp(outputs, axis=1, keepdims=True)
        gap = np.exp(logs) - hot + PENALTY * duals
        return float(-(logs * hot).sum() + PENALTY / 2 * (duals * outputs).sum()), (products @ gap).ravel()

    found = minimize(loss, np.zeros(hot.size), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return x.T @ found.x.reshape(hot.shape)


CLASSIFIERS: Mapping[Classifier, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "ridge": ridge, "cosine": cosine, "logistic": logistic
}  # fmt: skip


def learn(classifier: Classifier, x: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The kernel (d, classes) of directions x (n, d) whose outputs are logarithms of probabilities, as far as is known.

    Outputs are divided by the temperature that suits examples left out of each class in turn (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599), and by that of `ALONE` where no class has two examples.
    """
    import numpy as np

    fit, hot = CLASSIFIERS[classifier], np.eye(classes)[labels]
    folds = min(int(np.bincount(labels).max()), FOLDS)
    temperature = ALONE[classifier]
    if folds > 1:
        parts = [(x[test] @ fit(x[train], hot[train]), labels[test]) for train, test in splits(labels, folds)]
        outputs, truth = (np.concatenate(part) for part in zip(*parts, strict=True))
        temperature = fit_temperature(outputs, truth)
    return fit(x, hot) / temperature
