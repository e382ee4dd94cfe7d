"""A head whose module imports Keras before anything asks for it."""

import keras

from tlapp.contracts import Head


class HeavyImport(Head):
    """Import Keras at the top of its module."""

    def build(self, features, task):
        return keras.layers.Dense(len(task.classes))
