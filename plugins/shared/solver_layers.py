"""What solvers return: built-in Keras layers and operations with the solution's numbers in them; they open anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Scaling(NamedTuple):
    """Features minus `mean`, over `scale`."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Scaling:
        """Pareto scaling, to a mean squared length of 1.

        Each feature is divided by the square root of its standard deviation (van den Berg et al. 2006): between leaving the
        features as they are, where a few loud ones rule, and standardising them, where rare ones turn into noise.
        """
        import numpy as np

        exact = features.astype(np.float64)
        return cls.by(exact.mean(axis=0), exact.std(axis=0))

    @classmethod
    def by(cls, mean: np.ndarray, spread: np.ndarray) -> Scaling:
        """The same, from the features' means and standard deviations."""
        import numpy as np

        if not spread.any():
            return cls(mean, np.ones_like(mean))
        scale = np.sqrt(np.maximum(spread, 0.01 * spread.mean()))
        return cls(mean, scale * np.sqrt(((spread / scale) ** 2).sum()))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Scaled features, float32."""
        return ((features - self.mean) / self.scale).astype("float32")


class Voting(NamedTuple):
    """`k` neighbours vote, weighted by softmax(cosine / temperature); `floor` is what a class gets that none votes for."""

    k: int
    temperature: float
    floor: float


def linear(kernel: np.ndarray, bias: np.ndarray, scaling: Scaling) -> Any:
    """A dense layer: a linear function of scaled features, the scaling folded into it."""
    kernel = kernel / scaling.scale[:, None]
    return dense(kernel, bias - scaling.mean @ kernel, name="outputs")


def kernel_machine(centres: np.ndarray, gamma: float, duals: np.ndarray, bias: np.ndarray, scaling: Scaling) -> Any:
    """A model: sum over `centres` (scaled) of duals * exp(-gamma * squared distance), plus the bias."""
    import keras

    features = keras.Input((centres.shape[1],), name="features")
    scaled = _scale(features, scaling)
    products = dense(2 * gamma * centres.T, -gamma * (centres**2).sum(axis=1), name="centres")(scaled)
    length = keras.ops.sum(keras.ops.square(scaled), axis=-1, keepdims=True)
    similarity = keras.ops.exp(products - gamma * length)
    return keras.Model(features, dense(duals, bias, name="outputs")(similarity), name="rbf_svm")


def neighbours(points: np.ndarray, votes: np.ndarray, voting: Voting, scaling: Scaling) -> Any:
    """A model: log of the votes (a row a point) of the points, scaled and of length 1, that are nearest by cosine."""
    import keras

    features = keras.Input((points.shape[1],), name="features")
    unit = keras.layers.UnitNormalization(name="unit")(_scale(features, scaling))
    cosines, rows = keras.ops.top_k(dense(points.T, None, name="points")(unit), voting.k)
    weights = keras.ops.softmax(cosines / voting.temperature) if voting.k > 1 else keras.ops.ones_like(cosines)
    table = keras.layers.Embedding(*votes.shape, name="votes")
    table.build((None, voting.k))
    table.set_weights([votes])
    shares = keras.ops.sum(table(rows) * keras.ops.expand_dims(weights, -1), axis=1)
    return keras.Model(features, keras.ops.log(shares + voting.floor), name="knn")


def dense(kernel: np.ndarray, bias: np.ndarray | None, name: str) -> Any:
    """A dense layer with these weights; without a bias if it is None."""
    import keras

    layer = keras.layers.Dense(kernel.shape[1], use_bias=bias is not None, name=name)
    layer.build((None, kernel.shape[0]))
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return layer


def _scale(features: Any, scaling: Scaling) -> Any:
    import keras

    mean, variance = (values.astype("float32") for values in (scaling.mean, scaling.scale**2))
    return keras.layers.Normalization(mean=mean, variance=variance, name="scaling")(features)
