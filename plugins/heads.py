"""Heads: from features to one output a class, of built-in Keras layers only, so that a saved model opens anywhere."""

from __future__ import annotations

from typing import Annotated, Any

from tlapp.contracts import Field, Head, Task

Size = Annotated[int, Field(ge=1)]


class Linear(Head):
    """One dense layer on the features."""

    dropout: float = Field(0.0, ge=0, lt=1, description="share of the features left out at random while training")

    def build(self, features: Any, task: Task) -> Any:
        return _head(features, [*_dropout(self.dropout), _outputs(task)])


class Mlp(Head):
    """Hidden layers with dropout, then a dense layer."""

    hidden: tuple[Size, ...] = Field((256,), min_length=1, description="sizes of the hidden layers, from the features on")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of each hidden layer left out at random while training")

    def build(self, features: Any, task: Task) -> Any:
        import keras

        layers: list[Any] = []
        for size in self.hidden:
            layers.append(keras.layers.Dense(size, activation="relu", kernel_initializer="he_normal"))
            layers.extend(_dropout(self.dropout))
        return _head(features, [*layers, _outputs(task)])


class Cosine(Head):
    """Cosine similarity of the features to one learnt vector a class, times a scale."""

    scale: float = Field(32.0, gt=0, description="factor on the similarity; larger makes the probabilities sharper")

    def build(self, features: Any, task: Task) -> Any:
        import keras

        # The constraint keeps the class vectors at length 1, so that the deployed graph need not normalise them.
        vectors = keras.layers.Dense(
            len(task.classes),
            use_bias=False,
            kernel_initializer=keras.initializers.Orthogonal(),
            kernel_constraint=keras.constraints.UnitNorm(axis=0),
            name="vectors",
        )
        return _head(features, [keras.layers.UnitNormalization(), vectors, keras.layers.Rescaling(self.scale, name="outputs")])


def _outputs(task: Task) -> Any:
    import keras

    # Zeros give every class the same probability at first: no random head shakes a living backbone in the first steps.
    return keras.layers.Dense(len(task.classes), kernel_initializer="zeros", name="outputs")


def _dropout(rate: float) -> list[Any]:
    import keras

    return [keras.layers.Dropout(rate)] if rate else []


def _head(features: Any, layers: list[Any]) -> Any:
    import keras

    return keras.Sequential([keras.Input(features.shape[1:]), *layers], name="head")
