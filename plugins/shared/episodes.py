"""Learning to learn: small tasks drawn from many classes, and losses of what a network knows after seeing a few examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tlapp.contracts import Batch, Episodes, Net


@dataclass(frozen=True)
class Prototypes:
    """The cross-entropy of the nearest class mean: outputs are -|f - c|^2 over the number of features, c the mean of a class.

    Snell et al. 2017, https://arxiv.org/abs/1703.05175. The mean of squares in the place of their sum keeps the outputs small,
    whatever the network's width; `sharpness` multiplies it.
    """

    episodes: Episodes
    sharpness: float = 10.0

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        support, query = (net.features(x) for x in halves(batches["train"].x, self.episodes))
        outputs = self.sharpness * prototype_outputs(support, query, self.episodes.way)
        return judged(outputs, self.episodes)


@dataclass(frozen=True)
class Maml:
    """The loss on the queries after `steps` steps of gradient descent on the support; its gradient goes through the steps.

    Finn et al. 2017, https://arxiv.org/abs/1703.03400. All classes of an episode begin with one vector, the part "start", so that
    neither their order nor their number matters (Ye and Chao 2022, https://arxiv.org/abs/2106.09517).

    Attributes:
        rate: learning rate of the inner steps.
        first_order: leave out second derivatives.
    """

    episodes: Episodes
    rate: float
    steps: int
    first_order: bool = False

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        support, query = halves(batches["train"].x, self.episodes)
        learner = Learner.begin(net, support, self.episodes.way)
        for _ in range(self.steps):
            learner = learner.step(net, support, self.episodes.shot, self.rate, not self.first_order)
        return judged(learner.outputs(net, query), self.episodes)


@dataclass(frozen=True)
class Reptile:
    """Pulls the weights to where `steps` steps of gradient descent on an episode lead (Nichol et al. 2018,
    https://arxiv.org/abs/1803.02999): the gradient of the term "pull" is the way back from there.
    """

    episodes: Episodes
    rate: float
    steps: int

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        import keras

        x, each = batches["train"].x, self.episodes.shot + self.episodes.query
        first = learner = Learner.begin(net, x, self.episodes.way)
        for _ in range(self.steps):
            learner = learner.step(net, x, each, self.rate, False)
        gaps = [
            keras.ops.sum((old - keras.ops.stop_gradient(new)) ** 2)
            for old, new in zip(first.values(), learner.values(), strict=True)
        ]
        left = keras.ops.stop_gradient(cross_entropy(learner.outputs(net, x), self.episodes.way, each))
        return {"pull": sum(gaps) / 2, "inner_loss": left}


@dataclass(frozen=True)
class Learner:
    """What an episode changes: weights by path, and a linear layer from features (d,) to classes."""

    weights: Mapping[str, Any]
    kernel: Any
    bias: Any

    @classmethod
    def begin(cls, net: Net, x: Any, way: int) -> Learner:
        """As the episode begins; `x` is only looked at for the number of features."""
        import keras

        start = net.part("start")
        if not start.built:
            start.build(net.features(x).shape)
        weights = {weight.path: keras.ops.convert_to_tensor(weight.value) for weight in net.weights()}
        return cls(weights, keras.ops.tile(start.kernel, (1, way)), keras.ops.tile(start.bias, (way,)))

    def values(self) -> tuple[Any, ...]:
        return *self.weights.values(), self.kernel, self.bias

    def outputs(self, net: Net, x: Any) -> Any:
        """Of examples at the cut, (n, way)."""
        return net.features(x, self.weights) @ self.kernel + self.bias

    def step(self, net: Net, x: Any, each: int, rate: float, second_order: bool) -> Learner:
        """After a step of gradient descent on examples x, `each` of every class, one class after the other."""
        import keras
        import tensorflow as tf

        values = self.values()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss = cross_entropy(self.outputs(net, x), self.kernel.shape[1], each)
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if not second_order:
            gradients = [keras.ops.stop_gradient(gradient) for gradient in gradients]
        moved = [value - rate * gradient for value, gradient in zip(values, gradients, strict=True)]
        return Learner(dict(zip(self.weights, moved, strict=False)), moved[-2], moved[-1])


@dataclass(frozen=True)
class Start:
    """Makes the part "start": what the linear layer of an episode begins with, for every class."""

    def __call__(self) -> Any:
        import keras

        return keras.layers.Dense(1, kernel_initializer="zeros")


def halves(x: Any, episodes: Episodes) -> tuple[Any, Any]:
    """The examples of an episode to learn from and to be judged by, each one class after the other."""
    import keras

    each, shot = episodes.shot + episodes.query, episodes.shot
    rows = [number * each + place for number in range(episodes.way) for place in range(each)]
    taken = ([row for row in rows if row % each < shot], [row for row in rows if row % each >= shot])
    support, query = (keras.tree.map_structure(lambda t, r=part: keras.ops.take(t, r, axis=0), x) for part in taken)
    return support, query


def prototype_outputs(support: Any, query: Any, way: int) -> Any:
    """Minus the mean squared distance of query features (n, d) to the means of support features (way * shot, d): (n, way)."""
    import keras

    means = keras.ops.mean(keras.ops.reshape(support, (way, -1, support.shape[-1])), axis=1)
    return -keras.ops.mean((query[:, None, :] - means[None, :, :]) ** 2, axis=-1)


def cross_entropy(outputs: Any, way: int, each: int) -> Any:
    """Of outputs (way * each, way), one class after the other."""
    import keras

    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(classes(way, each), outputs, from_logits=True))


def judged(outputs: Any, episodes: Episodes) -> Mapping[str, Any]:
    """The loss of the queries' outputs, and how many are right."""
    import keras

    right = keras.ops.cast(keras.ops.argmax(outputs, axis=-1), "int32") == classes(episodes.way, episodes.query)
    accuracy = keras.ops.stop_gradient(keras.ops.mean(keras.ops.cast(right, "float32")))
    return {"loss": cross_entropy(outputs, episodes.way, episodes.query), "episode_accuracy": accuracy}


def classes(way: int, each: int) -> Any:
    """The classes of an episode's examples, (way * each,)."""
    import keras

    return keras.ops.convert_to_tensor([number for number in range(way) for _ in range(each)], "int32")
