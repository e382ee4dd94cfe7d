"""Strategies whose grafts break the graph."""

from tlapp.contracts import Fit, Plan, Strategy


class Graft(Strategy):
    """What they share."""

    def plan(self, task, backbone):
        phase = Fit(name="head", rates=backbone.frozen(), epochs=1, learning_rate=1e-3)
        return Plan((phase,), self.graft)


class Raises(Graft):
    """Raise an error."""

    def graft(self, backbone):
        return backbone.graph.get_layer("nowhere").output


class Nothing(Graft):
    """Return nothing."""

    def graft(self, backbone):
        return None


class Maps(Graft):
    """Return a feature map instead of features."""

    def graft(self, backbone):
        import keras

        return keras.Model(backbone.graph.inputs, backbone.graph.layers[2].output)


class Nests(Graft):
    """Put the backbone, whole, into a new model."""

    def graft(self, backbone):
        import keras

        image = keras.Input(backbone.graph.inputs[0].shape[1:])
        return keras.Model(image, keras.layers.Dense(8, name="mine")(backbone.graph(image)))


class Clones(Graft):
    """Replace the backbone by a copy with random weights."""

    def graft(self, backbone):
        import keras

        return keras.models.clone_model(backbone.graph)


class OtherInput(Graft):
    """Take other pictures than the backbone."""

    def graft(self, backbone):
        import keras

        image = keras.Input((8, 8, 3))
        return keras.Model(image, keras.layers.Flatten(name="mine")(image))


class SameName(Graft):
    """Call a layer as the engine calls one of its own."""

    def graft(self, backbone):
        import keras

        dense = keras.layers.Dense(8, name="probabilities")
        return keras.Model(backbone.graph.inputs, dense(backbone.graph.outputs[0]))
