"""Heads and backbone providers that fail."""

from tlapp.contracts import BackboneProvider, Head


class Raises(Head):
    """Raise an error."""

    def build(self, features, task):
        return features.nothing


class Shape(Head):
    """Give seven outputs, whatever the classes."""

    def build(self, features, task):
        import keras

        return keras.layers.Dense(7)


class LossRaises(Shape):
    """Have a loss that raises an error."""

    def build(self, features, task):
        import keras

        return keras.layers.Dense(len(task.classes))

    def loss(self, labels, outputs):
        return labels.nothing


class LoadRaises(BackboneProvider):
    """Raise an error."""

    def names(self):
        return ("one",)

    def load(self, name, *, image_size=None, weights=None):
        return {}["weights"]


class InitRaises(LoadRaises):
    """Need an argument."""

    def __init__(self, argument):
        self.argument = argument
