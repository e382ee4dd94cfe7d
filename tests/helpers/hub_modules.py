"""A tiny SavedModel as TensorFlow Hub has them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


class Tiny(tf.Module):
    """A module that counts how often it is called in training."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(np.random.default_rng(0).normal(size=(3, 5)).astype("float32"), name="tiny/kernel")
        self.seen = tf.Variable(0.0, trainable=False)

    @tf.function
    def __call__(self, x, training=False):
        if training:
            self.seen.assign_add(1.0)
        return tf.reduce_mean(x, [1, 2]) @ self.kernel


def write_hub(folder, size=None):
    module = Tiny()
    for training in (True, False):
        module.__call__.get_concrete_function(tf.TensorSpec((None, size, size, 3)), training=training)
    tf.saved_model.save(module, str(folder))
    return module.kernel.numpy()
