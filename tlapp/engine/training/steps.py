"""The optimizers of one phase, and its compiled function of many steps."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tlapp.contracts import Batch, Fit
from tlapp.engine.network.loss_net import LossNet, Start
from tlapp.engine.network.net import PhaseNet
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.checkpoint import assign, values
from tlapp.engine.training import returned
from tlapp.engine.training.feeds import Feed
from tlapp.engine.training.schedule import learning_rate

BLOCK_BYTES = 64 * 2**20
"""Activations handed over in one call, which trains several steps."""


class Steps:
    """One phase's optimizers and its compiled function of many steps."""

    def __init__(self, net: PhaseNet, phase: Fit, feeds: Mapping[str, Feed], options: RunOptions, seed: int):
        import tensorflow as tf

        self.net, self.phase, self.feeds, self.seed = net, phase, feeds, seed
        pacing = next(iter(feeds.values()))
        self.batch = min(options.batch_size, pacing.size)
        self.steps = max(1, pacing.size // self.batch)
        self._done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.total = self.steps * phase.epochs
        self.names: list[str] = []
        self._loss = phase.loss or (lambda net, batch: {"loss": net.task_loss(next(iter(batch.values())))})
        self._start, self._averages = Start(net.weights()), dict[str, Any]()
        self._loss_net = LossNet(net, self._start, lambda: self._averages)
        self._build_parts()
        self._groups = [(rate, variables) for rate, variables in net.trainable().items() if variables]
        self._optimizers = [self._optimizer(rate, variables, options) for rate, variables in self._groups]
        if phase.average:
            self._averages = self._moving_averages()
        self._clip, self._width = options.clip_norm, self._step_bytes()
        self._block = tf.function(self._run, autograph=False, reduce_retracing=True, jit_compile=False)

    def _build_parts(self) -> None:
        if any(not part.built for part in self.net.parts.values()):
            first = {name: np.arange(min(2, feed.size)) for name, feed in self.feeds.items()}
            if self.phase.sampler is not None:  # a loss may rely on how the batches are made
                pacing = self.phase.streams[0]
                first[pacing] = self._order(pacing, self.feeds[pacing], 0)[0]
            blocks = {name: self._gather(self.feeds[name], rows[None], 0) for name, rows in first.items()}
            self._loss(self._loss_net, {name: self._batch(block, 0) for name, block in blocks.items()})

    def _optimizer(self, rate: float, variables: list[Any], options: RunOptions) -> Any:
        import keras

        decay, speed = self.phase.weight_decay, self.phase.learning_rate * rate
        optimizer = keras.optimizers.AdamW(
            learning_rate(speed, self.steps, self.total, options.schedule),
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

    def blocks(self, epoch: int, start: int) -> Iterator[tuple[int, np.ndarray]]:
        """Train an epoch from step `start` on; yields (steps done, sums of the loss's terms over the block)."""
        import tensorflow as tf

        done = start
        for blocks in _ahead(self._blocks(epoch, start)):
            done += len(next(iter(blocks.values())).weight)
            yield done, self._block(tf.nest.map_structure(_tensor, blocks)).numpy()

    def _blocks(self, epoch: int, start: int) -> Iterator[dict[str, Batch]]:
        """The epoch's batches, several at a time: {stream: Batch of (steps, batch, ...) arrays}."""
        orders = {name: self._order(name, feed, epoch) for name, feed in self.feeds.items()}
        size = int(min(64, max(1, BLOCK_BYTES // self._width)))
        for at in range(start, self.steps, size):
            yield {name: self._gather(self.feeds[name], order[at : at + size], epoch) for name, order in orders.items()}

    def _step_bytes(self) -> int:
        first = [self._gather(feed, np.zeros((1, 1), int), 0) for feed in self.feeds.values()]
        return self.batch * sum(array.nbytes for batch in first for view in batch.views or (batch.x,) for array in view)

    def _order(self, name: str, feed: Feed, epoch: int) -> np.ndarray:
        """Row numbers (steps, batch); a pure function of seed, stream and epoch, so that a resumed run goes on alike."""
        rng = np.random.default_rng([self.seed, epoch, *name.encode()])
        phase = self.phase
        if phase.sampler is not None and name == phase.streams[0]:
            labels = np.argmax(feed.labels, axis=1) if feed.labels is not None else np.zeros(feed.size, int)
            return returned.batches(phase.sampler.batches(labels, rng, self.steps), phase.name, self.steps, feed.size)
        wanted = self.steps * self.batch
        rounds = [rng.permutation(feed.size) for _ in range(-(-wanted // feed.size))]
        return np.concatenate(rounds)[:wanted].reshape(self.steps, self.batch)

    @staticmethod
    def _gather(feed: Feed, rows: np.ndarray, epoch: int) -> Batch:
        taken = [feed.source.take(rows.reshape(-1), epoch * feed.versions + version) for version in range(feed.versions)]
        views = tuple(tuple(array.reshape(*rows.shape, *array.shape[1:]) for array in view) for view in taken)
        labels = feed.labels[rows] if feed.labels is not None else None
        first = epoch * feed.versions
        said = {name: guide.take(rows.reshape(-1), first)[0] for name, guide in feed.guides.items()}
        guides = {name: array.reshape(*rows.shape, *array.shape[1:]) for name, array in said.items()}
        return Batch(views[0], labels, feed.weights[rows], views if feed.versions > 1 else (), guides, rows)

    @staticmethod
    def _batch(block: Batch, index: Any) -> Batch:
        def at_cut(tensors: Sequence[Any]) -> Any:
            return tuple(tensor[index] for tensor in tensors) if len(tensors) > 1 else tensors[0][index]

        labels = None if block.y is None else block.y[index]
        guides = {name: array[index] for name, array in block.guides.items()}
        views = tuple(at_cut(view) for view in block.views)
        return Batch(at_cut(block.x), labels, block.weight[index], views, guides, block.rows[index])

    def _run(self, blocks: Mapping[str, Batch]) -> Any:
        """Train on each of the blocks' batches; the sums of the loss's terms."""
        import tensorflow as tf

        count = tf.shape(next(iter(blocks.values())).weight)[0]

        def body(index: Any, sums: Any) -> Any:
            return index + 1, sums + self._step({name: self._batch(block, index) for name, block in blocks.items()})

        # How many terms there are is known once the loss was traced: one zero is broadcast to as many.
        shapes = (tf.TensorShape([]), tf.TensorShape([None]))
        start = (tf.constant(0), tf.zeros(1))
        return tf.while_loop(lambda index, sums: index < count, body, start, shapes, parallel_iterations=1)[1]

    def _terms(self, batch: Mapping[str, Batch]) -> Mapping[str, Any]:
        import tensorflow as tf

        self.net.progress = tf.cast(self._done, tf.float32) / float(self.total)
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
        gradients, _ = tf.clip_by_global_norm(gradients, self._clip)
        for (_, variables), optimizer in zip(self._groups, self._optimizers, strict=True):
            optimizer.apply(gradients[: len(variables)], variables)
            gradients = gradients[len(variables) :]
        self._done.assign_add(1)
        return tf.stack([*terms.values()])


def _tensor(array: Any) -> Any:
    """A tensor; None, the labels of an unlabelled stream, stays None."""
    import tensorflow as tf

    return None if array is None else tf.convert_to_tensor(array)


def _ahead(items: Iterator[Any], depth: int = 2) -> Iterator[Any]:
    """The same items, made in a thread while the earlier ones are used."""
    made: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    stop = threading.Event()

    def put(kind: str, value: Any) -> None:
        while not stop.is_set():
            try:
                return made.put((kind, value), timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put("item", item)
                if stop.is_set():
                    return
            put("end", None)
        except BaseException as error:  # raised again where the items are used
            put("error", error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (got := made.get())[0] == "item":
            yield got[1]
        if got[0] == "error":
            raise got[1]
    finally:
        stop.set()
        thread.join()
