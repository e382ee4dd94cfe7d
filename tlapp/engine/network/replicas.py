"""Processes that train one network together: each computes its share of a batch, and what they compute is added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Share(NamedTuple):
    """The rows of a batch of `whole` rows that one process computes: from `begin` to `end`, which is not among them."""

    begin: int
    end: int
    whole: int

    @property
    def part(self) -> float:
        """What the share is of the batch, from 0 to 1."""
        return (self.end - self.begin) / self.whole

    def widened(self, tensor: Any) -> Any:
        """A tensor (end - begin, ...) in its place in one of (whole, ...), zeros around it."""
        import tensorflow as tf

        return tf.pad(tensor, [(self.begin, self.whole - self.end), *[(0, 0)] * (len(tensor.shape) - 1)])

    def in_place(self, call: Callable[..., Any], *tensors: Any) -> list[Any]:
        """What a function of batches gives for the share where it gets the whole batch: what it draws goes by the row's place."""
        import keras

        return [output[self.begin : self.end] for output in keras.tree.flatten(call(*map(self.widened, tensors)))]


def share(index: int, count: int, batch: int) -> Share:
    """The share of process `index` of `count`; sizes differ by one row at most."""
    return Share(batch * index // count, batch * (index + 1) // count, batch)


class Replicas:
    """This process among those of the variable TF_CONFIG, https://www.tensorflow.org/guide/distributed_training#TF_CONFIG.

    Made before TensorFlow computes anything. Means go through the all-reduce of `tf.distribute.MultiWorkerMirroredStrategy`, of
    which every process gets the same to the bit.

    Attributes:
        index: number of this process, from 0.
        count: of processes.
    """

    def __init__(self) -> None:
        import tensorflow as tf

        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self.index, self.count = int(self._strategy.cluster_resolver.task_id), self._strategy.num_replicas_in_sync

    def share(self, batch: int) -> Share:
        """This process's share of a batch."""
        return share(self.index, self.count, batch)

    def mean(self, tensors: Sequence[Any], share: Share) -> list[Any]:
        """Means over the batch of float32 tensors that are means over the share; for compiled functions."""
        import tensorflow as tf

        def added(own: Any) -> Any:  # identity: the strategy reads off a tensor on which device it is to be added up
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(own))

        flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0) * share.part
        pieces = tf.split(self._strategy.run(added, args=(flat,)), [int(np.prod(tensor.shape)) for tensor in tensors])
        return [tf.reshape(piece, tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)]
