"""Providers of backbones that each break one rule of the contract."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from tlapp.contracts import Backbone, Stage
from tlapp.testing import TinyBackbones


class Liar(TinyBackbones):
    """Tell other facts than those of its graph."""

    fault: ClassVar[str] = "params"

    def load(self, name, *, image_size=None, weights=None):
        found = super().load(name, image_size=image_size, weights=weights)
        stages = [Stage(stage.name, stage.params + 1) for stage in found.facts.stages]
        return found.__class__(Backbone("liar:tiny", found.facts.input, tuple(stages)), found.graph, found.stage_of)


class Unordered(TinyBackbones):
    """Name its stages the wrong way round."""

    def load(self, name, *, image_size=None, weights=None):
        found = super().load(name, image_size=image_size, weights=weights)
        facts = Backbone("unordered:tiny", found.facts.input, found.facts.stages[::-1])
        return found.__class__(facts, found.graph, found.stage_of)


class WrongSize(TinyBackbones):
    """Tell another size than it loads."""

    def native_size(self, name):
        return 48


class KeyErrors(TinyBackbones):
    """Fail otherwise than by a UserError where it does not know a name."""

    def load(self, name, *, image_size=None, weights=None):
        {"tiny": 1}[name]
        return super().load(name, image_size=image_size, weights=weights)


class Silenced(TinyBackbones):
    """Give the same features for every image."""

    def load(self, name, *, image_size=None, weights=None):
        import keras

        return with_last(super().load(name, image_size=image_size, weights=weights), keras.layers.Rescaling(0.0, name="silence"))


class Random(TinyBackbones):
    """Add noise to the features, also where it does not train: no two passes agree."""

    def load(self, name, *, image_size=None, weights=None):
        import keras

        class Noise(keras.layers.Layer):
            def call(self, x):
                return x + keras.random.normal(keras.ops.shape(x))

        return with_last(super().load(name, image_size=image_size, weights=weights), Noise(name="noise"))


def with_last(loaded, layer):
    """A loaded backbone with one more layer at its end."""
    import keras

    graph = keras.Model(loaded.graph.inputs[0], layer(loaded.graph.outputs[0]))
    return replace(loaded, graph=graph, stage_of={**loaded.stage_of, layer.name: "top"})
