"""The optimizers of one phase, and its compiled function of many steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from tlapp.contracts import Batch, Fit
from tlapp.engine.network.loss_net import LossNet, Start
from tlapp.engine.network.net import PhaseNet
from tlapp.engine.network.precision import chosen, computing
from tlapp.engine.network.predict import Predict, predictor
from tlapp.engine.network.replicas import Replicas
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.checkpoint import assign, values
from tlapp.engine.training import returned
from tlapp.engine.training.batches import ahead, batch_at, gather, row_order
from tlapp.engine.training.feeds import Feed
from tlapp.engine.training.schedule import learning_rate

BLOCK_BYTES = 16 * 2**20
"""Activations handed over in one call, which trains several steps."""


class Steps:
    """One phase's optimizers and its compiled function of many steps.

    Args:
        replicas: the processes that share each batch, of which this one gets its share; None where it trains alone.
    """

    def __init__(
        self, net: PhaseNet, phase: Fit, feeds: Mapping[str, Feed], options: RunOptions, seed: int,
        replicas: Replicas | None = None,
    ):  # fmt: skip
        import tensorflow as tf

        self.net, self.phase, self.feeds, self.seed = net, phase, feeds, seed
        self.batch = batch_of(feeds, options)
        self.steps = max(1, next(iter(feeds.values())).size // self.batch)
        self._done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.total = self.steps * phase.epochs
        self._replicas, self._share = replicas, replicas.share(self.batch) if replicas else None
        net.share = self._share
        self.names: list[str] = []
        self._loss = phase.loss or (lambda net, batch: {"loss": net.task_loss(next(iter(batch.values())))})
        self._start, self._averages = Start(net.weights()), dict[str, Any]()
        self._loss_net = LossNet(net, self._start, lambda: self._averages)
        self._build_parts()
        self._groups = [(rate, variables) for rate, variables in net.trainable().items() if variables]
        self._optimizers = [self._optimizer(rate, variables, options) for rate, variables in self._groups]
        if phase.average:
            self._averages = self._moving_averages()
        self._clip, self._precision = options.clip_norm, chosen(options.precision)
        self._block = tf.function(self._run, autograph=False, reduce_retracing=True, jit_compile=False)
        global_seed()  # made here, as a variable cannot be made inside the compiled function

    def _build_parts(self) -> None:
        if any(not part.built for part in self.net.parts.values()):
            first = {name: np.arange(min(2, feed.size)) for name, feed in self.feeds.items()}
            if self.phase.sampler is not None:  # a loss may rely on how the batches are made
                pacing = self.phase.streams[0]
                first[pacing] = self._order(pacing, self.feeds[pacing], 0)[0]
            blocks = {name: gather(self.feeds[name], rows[None], 0) for name, rows in first.items()}
            self._loss(self._loss_net, {name: batch_at(block, 0) for name, block in blocks.items()})

    def _optimizer(self, rate: float, variables: list[Any], options: RunOptions) -> Any:
        import keras

        decay = self.phase.weight_decay
        optimizer = keras.optimizers.AdamW(
            self.schedule(rate, options),
            weight_decay=options.weight_decay if decay is None else decay,
            use_ema=bool(self.phase.average), ema_momentum=self.phase.average,
        )  # fmt: skip
        # Biases and norm scales are not decayed (He et al. 2019, https://arxiv.org/abs/1812.01187, section 3.1).
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if len(v.shape) < 2])
        # Keras sums gradients over replicas, of which there is one; TensorFlow's registry of gradients would keep that sum, and
        # with it the graph of every phase, for as long as the process lives.
        optimizer._all_reduce_sum_gradients = list
        optimizer.build(variables)
        return optimizer

    def schedule(self, rate: float, options: RunOptions) -> Any:
        """The learning rate over the phase's steps, of variables whose rate is `rate` times the phase's."""
        return learning_rate(self.phase.learning_rate * rate, self.steps, self.total, options.schedule)

    def _moving_averages(self) -> dict[str, Any]:
        """Path -> moving average of each weight; it begins as the weight is after the first step."""
        average_of = {}
        for (_, variables), optimizer in zip(self._groups, self._optimizers, strict=True):
            for variable, average in zip(variables, optimizer._model_variables_moving_average, strict=True):
                average.assign(variable)
                average_of[id(variable)] = average
        return {path: average_of[id(variable)] for path, variable in self._start.variables.items()}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The net has the moving averages of its weights while the block runs, where the phase keeps any."""
        if not self.phase.average:
            yield
            return
        trained = [variable for _, variables in self._groups for variable in variables]
        present = values(trained)
        for (_, variables), optimizer in zip(self._groups, self._optimizers, strict=True):
            optimizer.finalize_variable_values(variables)
        try:
            yield
        finally:
            assign(trained, present)

    def start(self) -> Sequence[np.ndarray]:
        """The weights that the phase began with, where its loss reads them."""
        return self._start.arrays if self._start.used else ()

    def begin_from(self, arrays: Sequence[np.ndarray]) -> None:
        """Take the weights that the phase began with in an earlier process."""
        self._start.replace(arrays)

    def variables(self) -> list[Any]:
        """The optimizers' variables and the count of steps."""
        return [*(v for optimizer in self._optimizers for v in optimizer.variables), self._done]

    def state(self) -> list[Any]:
        """Everything that training changes, random states and optimizers included."""
        return [*self.net.variables(), *self.variables(), global_seed()]

    def blocks(self, epoch: int, start: int) -> Iterator[tuple[int, np.ndarray]]:
        """Train an epoch from step `start` on; yields (steps done, sums of the loss's terms over the block)."""
        done = start
        for blocks in ahead(self._blocks(epoch, start)):
            done += len(next(iter(blocks.values())).weight)
            yield done, self.train(blocks)

    def train(self, blocks: Mapping[str, Batch]) -> np.ndarray:
        """Train on some batches, {stream: Batch of (steps, batch, ...) arrays}; the sums of the loss's terms."""
        import tensorflow as tf

        sums: np.ndarray = self._block(tf.nest.map_structure(_tensor, blocks)).numpy()
        return sums

    def predictor(self, last: Any) -> Predict:
        """What the net answers, by its last layer."""
        return predictor(self.net, last)

    def close(self) -> None:
        """The phase is over."""

    def _blocks(self, epoch: int, start: int) -> Iterator[dict[str, Batch]]:
        """The epoch's batches, several at a time: {stream: Batch of (steps, batch, ...) arrays}."""
        orders = {name: self._order(name, feed, epoch) for name, feed in self.feeds.items()}
        size = int(min(64, max(1, BLOCK_BYTES // self._width)))
        for at in range(start, self.steps, size):
            yield {name: gather(self.feeds[name], order[at : at + size], epoch) for name, order in orders.items()}

    @cached_property
    def _width(self) -> int:
        """Bytes of what crosses the cut in a step."""
        first = [gather(feed, np.zeros((1, 1), int), 0) for feed in self.feeds.values()]
        return self.batch * sum(array.nbytes for batch in first for view in batch.views or (batch.x,) for array in view)

    def _order(self, name: str, feed: Feed, epoch: int) -> np.ndarray:
        return row_order(self.phase, name, feed, [self.seed, epoch], self.steps, self.batch)

    def _run(self, blocks: Mapping[str, Batch]) -> Any:
        """Train on each of the blocks' batches; the sums of the loss's terms."""
        import tensorflow as tf

        count = tf.shape(next(iter(blocks.values())).weight)[0]

        def body(index: Any, sums: Any) -> Any:
            return index + 1, sums + self._step({name: batch_at(block, index) for name, block in blocks.items()})

        # How many terms there are is known once the loss was traced: one zero is broadcast to as many.
        shapes = (tf.TensorShape([]), tf.TensorShape([None]))
        start = (tf.constant(0), tf.zeros(1))
        return tf.while_loop(lambda index, sums: index < count, body, start, shapes, parallel_iterations=1)[1]

    def _terms(self, batch: Mapping[str, Batch]) -> Mapping[str, Any]:
        import tensorflow as tf

        self.net.progress = tf.cast(self._done, tf.float32) / float(self.total)
        with computing((step.operation for step in self.net.cut.rest), self._precision):
            return returned.terms(self._loss(self._loss_net, batch), self.phase.name)

    def _step(self, batch: Mapping[str, Batch]) -> Any:
        import tensorflow as tf

        flat = [variable.value for _, variables in self._groups for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(flat)
            terms = self._terms(batch)
            self.names = list(terms)
            total = tf.add_n([*terms.values()])
        gradients = tape.gradient(total, flat, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        sums = tf.stack([*terms.values()])
        if self._replicas is not None and self._share is not None:
            *gradients, sums = self._replicas.mean([*gradients, sums], self._share)
        gradients, _ = tf.clip_by_global_norm(gradients, self._clip)
        for (_, variables), optimizer in zip(self._groups, self._optimizers, strict=True):
            optimizer.apply(gradients[: len(variables)], variables)
            gradients = gradients[len(variables) :]
        self._done.assign_add(1)
        return sums


def global_seed() -> Any:
    """The state of the generator behind `keras.random` where a loss or layer brings none of its own."""
    from keras.src.random.seed_generator import global_seed_generator

    return global_seed_generator().state


def batch_of(feeds: Mapping[str, Feed], options: RunOptions) -> int:
    """How many examples of each stream a step sees, by the pacing one, which is the first."""
    return min(options.batch_size, next(iter(feeds.values())).size)


def _tensor(array: Any) -> Any:
    """A tensor; None, the labels of an unlabelled stream, stays None."""
    import tensorflow as tf

    return None if array is None else tf.convert_to_tensor(array)
