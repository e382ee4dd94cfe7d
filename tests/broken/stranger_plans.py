"""Strategies whose plans fail."""

from tlapp.contracts import Augment, Fit, OneOf, Plan, PluginError, Solve, Strategy


def fit(backbone, **settings):
    return Fit(**{"name": "head", "rates": backbone.frozen(), "epochs": 1, "learning_rate": 1e-3, **settings})


class Raises(Strategy):
    """Raise an error in plan()."""

    def plan(self, task, backbone):
        raise KeyError("stage9")


class NoPhases(Strategy):
    """Plan nothing."""

    def plan(self, task, backbone):
        return None


class MissesStage(Strategy):
    """Leave out the last stage."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, rates={stage.name: 0.0 for stage in backbone.stages[:-1]}),))


class NanLoss(Strategy):
    """Have a loss that is no number."""

    def plan(self, task, backbone):
        def loss(net, batch):
            import keras

            return {"mine": net.task_loss(batch["train"]) * keras.ops.log(-1.0)}

        return Plan((fit(backbone, loss=loss),))


class LossRaises(Strategy):
    """Have a loss that raises an error."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, loss=lambda net, batch: {"mine": net.task_loss(batch["target"])}),))


class PartRaises(Strategy):
    """Have a part that cannot be made."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, parts={"mine": lambda: 1 / 0}),))


class SamplerRaises(Strategy):
    """Have a sampler that raises an error."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, sampler=Sampler()),))


class Sampler:
    """A sampler of nothing."""

    def batches(self, labels, rng, steps):
        yield from labels[100000]


class LabellerRaises(Strategy):
    """Have a labeller that raises an error."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, labeller=lambda features, probabilities: probabilities.nothing),))


class LabellerShape(Strategy):
    """Have a labeller that gives a label a picture, not a row."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, labeller=lambda features, said: (said.argmax(axis=1), said.max(axis=1))),))


class LabellerNothing(Strategy):
    """Have a labeller that trusts no picture."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, labeller=lambda features, said: (said, said[:, 0] * 0)),))


class AugmentRaises(Strategy):
    """Have an augment that raises an error."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, augment=Augment(lambda pictures, seed: pictures.nothing)),))


class SolverRaises(Strategy):
    """Have a solver that raises an error."""

    def plan(self, task, backbone):
        return Plan((Solve(name="solve", rates=backbone.frozen(), solver=lambda features, labels, classes: features.nothing),))


class BeginsLikeItsLabel(Strategy):
    """Raise an error whose message begins as the label of the plugin does."""

    def plan(self, task, backbone):
        raise PluginError("strategy begins-like of stranger 0.3.1 is what it was made from")


def refuse(net, batch):
    raise PluginError("it wants a target")


class LossRefuses(Strategy):
    """Have a loss that raises a PluginError itself."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, loss=refuse),))


class AlternativeRaises(Strategy):
    """Have a loss that raises an error, inside alternatives."""

    def plan(self, task, backbone):
        return Plan((OneOf(phases=(fit(backbone, loss=lambda net, batch: {}["nothing"]),)),))


class SelectRaises(Strategy):
    """Have a score that raises an error."""

    def plan(self, task, backbone):
        return Plan((fit(backbone, select=lambda probabilities, accuracy: 1 / 0),))
