"""Heads that each break one rule of the contract."""

from __future__ import annotations

from tlapp.contracts import Head


class Shape(Head):
    """Have three outputs, whatever the classes."""

    def build(self, features, task):
        import keras

        return keras.layers.Dense(3)


class Mean(Shape):
    """Average the loss over the batch."""

    def build(self, features, task):
        import keras

        return keras.layers.Dense(len(task.classes))

    def loss(self, labels, outputs):
        import keras

        return keras.ops.mean(super().loss(labels, outputs))


class Upside(Mean):
    """Prefer wrong outputs."""

    def loss(self, labels, outputs):
        return -Head.loss(self, labels, outputs)


class Own(Mean):
    """Have a layer of a class of its own."""

    def build(self, features, task):
        import keras

        class Mine(keras.layers.Dense):
            pass

        return Mine(len(task.classes))

    def loss(self, labels, outputs):
        return Head.loss(self, labels, outputs)


class Underscore(Head):
    """Have a layer whose name a SavedModel cannot hold."""

    def build(self, features, task):
        import keras

        return keras.layers.Dense(len(task.classes), name="_outputs")


class Inverse(Head):
    """Have an operation that TFLite has no counterpart of."""

    def build(self, features, task):
        import keras

        image = keras.Input(features.shape[1:])
        outputs = keras.ops.erfinv(0.9 * keras.ops.tanh(keras.layers.Dense(len(task.classes))(image)))
        return keras.Model(image, outputs)
