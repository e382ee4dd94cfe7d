"""Strategies with one mistake each, as a table: name -> the plan that `Mistaken` makes of it."""

from __future__ import annotations

from typing import ClassVar

from tlapp.contracts import Augment, Fit, OneOf, Plan, Solve, Statistics, Strategy, UserError


def fit(backbone, **settings):
    return Fit(**{"name": "head", "rates": backbone.last(1), "epochs": 1, "learning_rate": 1e-3, **settings})


def loss_of(result):
    return lambda net, batch: result(net, batch["train"])


def outputs(net, batch):
    return net.head(net.features(batch.x))


def per_example(net, batch):
    import keras

    return keras.losses.categorical_crossentropy(batch.y, outputs(net, batch), from_logits=True)


def refuse(net, batch):
    raise UserError("it wants another target", received=3)


def leave(*_):
    raise SystemExit("go away")


class Batches:
    """A sampler that yields what it is made of."""

    def __init__(self, make):
        self._make = make

    def batches(self, labels, rng, steps):
        yield from self._make(labels, steps)


def samples(make):
    return {"sampler": Batches(make)}


def own_layer(backbone):
    import keras

    class Own(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    return keras.Model(backbone.graph.inputs, Own(name="own")(backbone.graph.outputs[0]))


def augmented(apply, **more):
    return {"augment": Augment(apply, name="shake", **more)}


FITS = {
    "loss-vector": {"loss": loss_of(lambda net, batch: {"mine": per_example(net, batch)})},
    "loss-tensor": {"loss": loss_of(lambda net, batch: net.task_loss(batch))},
    "loss-none": {"loss": loss_of(lambda net, batch: None)},
    "loss-empty": {"loss": loss_of(lambda net, batch: {})},
    "loss-text": {"loss": loss_of(lambda net, batch: {"mine": "high"})},
    "loss-user-error": {"loss": refuse},
    "loss-exits": {"loss": leave},
    "loss-part": {"loss": loss_of(lambda net, batch: {"mine": net.part("projector")(batch.x)})},
    "loss-average": {"loss": loss_of(lambda net, batch: {"mine": net.average(batch.x)})},
    "loss-weight": {"loss": loss_of(lambda net, batch: {"mine": net.features(batch.x, {"top_conv/kernal": 0})})},
    "loss-inside": {"loss": loss_of(lambda net, batch: {"mine": net.layer(batch.x)})},
    "loss-not": {"loss": "crossentropy"},
    "rates-text": {"rates": {"stem": "low", "middle": 0.0, "top": 1.0}},
    "rates-list": {"rates": [0, 0, 1]},
    "rates-unknown": {"rates": {"stem": 0.0, "middle": 0.0, "top": 1.0, "tail": 1.0}},
    "rates-nan": {"rates": {"stem": 0.0, "middle": 0.0, "top": float("nan")}},
    "rates-negative": {"rates": {"stem": 0.0, "middle": 0.0, "top": -1.0}},
    "epochs-text": {"epochs": "ten"},
    "epochs-none": {"epochs": 0},
    "epochs-half": {"epochs": 1.5},
    "rate-huge": {"learning_rate": 1e12},
    "rate-negative": {"learning_rate": -1e-3},
    "rate-text": {"learning_rate": "1e-3"},
    "name-empty": {"name": ""},
    "name-number": {"name": 1},
    "streams-text": {"streams": "train"},
    "streams-empty": {"streams": ()},
    "streams-unknown": {"streams": ("train", "extra")},
    "streams-test": {"streams": ("train", "test")},
    "select-unknown": {"select": "best"},
    "batch-norm": {"batch_norm": "off"},
    "only-nothing": {"only": lambda path: "gamma" in path},
    "only-text": {"only": "kernel"},
    "only-raises": {"only": lambda path: path.nothing},
    "average-one": {"average": 1.0},
    "decay-text": {"weight_decay": "small"},
    "parts-list": {"parts": [lambda: None]},
    "part-nothing": {"parts": {"mine": lambda: None}},
    "augment-function": {"augment": lambda pictures, seed: pictures},
    "augment-shape": augmented(lambda pictures, seed: pictures[:, :16]),
    "augment-range": augmented(lambda pictures, seed: pictures / 127.5 - 1.5),
    "augment-nan": augmented(lambda pictures, seed: pictures * float("nan")),
    "augment-views": augmented(lambda pictures, seed: pictures, views=2, per_step=3),
    "augment-stored": augmented(lambda pictures, seed: pictures[:2], views=2),
    "sampler-range": samples(lambda labels, steps: ([0, 1, 2, len(labels)] for _ in range(steps))),
    "sampler-uneven": samples(lambda labels, steps: ([0] * (2 + step % 2) for step in range(steps))),
    "sampler-few": samples(lambda labels, steps: ([0, 1] for _ in range(steps - 1))),
    "sampler-floats": samples(lambda labels, steps: ([0.5, 1.5] for _ in range(steps))),
    "sampler-nothing": samples(lambda labels, steps: ([] for _ in range(steps))),
    "sampler-class": {"sampler": "balanced"},
}
"""Name -> the settings of the one phase."""

PLANS = {
    "plan-no-tuple": lambda b: Plan((fit(b))),  # noqa: UP034 - the comma that is missing is the mistake
    "plan-list": lambda b: Plan([fit(b)]),
    "plan-empty": lambda b: Plan(()),
    "plan-text": lambda b: Plan(("head",)),
    "plan-bare": fit,
    "plan-exits": leave,
    "plan-twice": lambda b: Plan((fit(b), fit(b))),
    "plan-graft": lambda b: Plan((fit(b),), "deeper"),
    "graft-own-layer": lambda b: Plan((fit(b),), own_layer),
    "one-of-phase": lambda b: Plan((OneOf(phases=fit(b)),)),
    "one-of-empty": lambda b: Plan((OneOf(phases=()),)),
    "one-of-last": lambda b: Plan((OneOf(phases=(fit(b),), select="last"),)),
    "one-of-solve": lambda b: Plan((OneOf(phases=(Solve(name="solve", rates=b.frozen(), solver=len),), select="val"),)),
    "solve-live": lambda b: Plan((Solve(name="solve", rates=b.last(1), solver=len),)),
    "solve-nothing": lambda b: Plan((Solve(name="solve", rates=b.frozen(), solver=lambda x, y, n: None),)),
    "solver-text": lambda b: Plan((Solve(name="solve", rates=b.frozen(), solver="ridge"),)),
    "statistics-test": lambda b: Plan((Statistics(name="statistics", rates=b.all(), streams=("test",)),)),
}
"""Name -> the plan for a backbone."""


class Mistaken(Strategy):
    """Make a mistake."""

    mistake: ClassVar[str]

    def plan(self, task, backbone):
        if self.mistake in PLANS:
            return PLANS[self.mistake](backbone)
        return Plan((fit(backbone, **FITS[self.mistake]),))


def class_name(mistake):
    """The class of a mistake, as entry points name it."""
    return "".join(word.capitalize() for word in mistake.split("-"))


for name in (*FITS, *PLANS):
    globals()[class_name(name)] = type(class_name(name), (Mistaken,), {"__doc__": "Make a mistake.", "mistake": name})
