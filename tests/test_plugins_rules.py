"""The conformance suite: first-party plugins keep every rule, and each rule catches what it is for."""

from __future__ import annotations

import contextlib
import itertools
import socket
from typing import Any, ClassVar

import pytest

from tlapp import registry
from tlapp.contracts import Augment, Backbone, Field, Fit, Head, Plan, Stage, Strategy
from tlapp.testing import ContractError, TinyBackbones, check_backbones, check_head, check_strategy, examine, tiny_run
from tlapp.testing.check import rules_of

QUICK = ("strategy/partial", "strategy/feature-extract", "head/mlp")
EVERY = [f"{kind}/{name}" for kind in ("strategy", "head") for name in registry.found(kind)]


@pytest.mark.parametrize("plugin", [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in EVERY])
def test_first_party_plugins_keep_every_rule(plugin, tensorflow):
    kind, name = plugin.split("/")
    {"strategy": check_strategy, "head": check_head}[kind](registry.load(kind, name)())


@pytest.mark.slow
def test_the_first_party_backbones_keep_every_rule(tensorflow):
    check_backbones(registry.load("backbones", "keras-cv")())


def test_the_tiny_backbone_keeps_every_rule(tensorflow):
    verdicts = [*examine("backbones", TinyBackbones())]
    assert [verdict.rule for verdict in verdicts] == [rule.__name__ for rule in rules_of("backbones")]
    assert not [verdict for verdict in verdicts if verdict.state != "kept"]


class Good(Strategy):
    """Train the last stage."""

    last: int = Field(1, ge=1, description="stages to train")
    fit: ClassVar[dict[str, Any]] = {}

    def plan(self, task, backbone):
        return Plan((Fit(**{"name": "tune", "rates": backbone.last(self.last), "epochs": 9, "learning_rate": 1e-2, **self.fit}),))


class NoHelp(Good):
    last: int = Field(1, ge=1, description="stages to train")


class NoDescription(Good):
    """Forget to say what an option is for."""

    width: int = 3


class NoDefault(Good):
    """Want an answer before the first run."""

    width: int = Field(description="of something")


class Refuses(Good):
    """Have a default of the wrong kind."""

    width: int = Field(0, ge=1, description="of something")


class Takes(Good):
    """Take a name of the engine's."""

    batch_size: int = Field(8, description="of something")


class Later(Good):
    """Be written for a later contract."""

    contract = "1.77"


class Forgets(Good):
    """Not survive YAML."""

    names: Any = Field((1, 2), description="a tuple, which comes back from YAML as a list")


COUNT = itertools.count()


class Impure(Good):
    """Plan something else each time."""

    def plan(self, task, backbone):
        return Plan((Fit(name=f"tune-{next(COUNT)}", rates=backbone.frozen(), epochs=1, learning_rate=1e-3),))


class Closes(Good):
    """Have a loss that holds something else each time."""

    def plan(self, task, backbone):
        number = next(COUNT)
        phase = Fit(name="tune", rates=backbone.frozen(), epochs=1, learning_rate=1e-3, loss=lambda net, batch: {"n": number})
        return Plan((phase,))


class Heavy(Good):
    """Import Keras while planning."""

    def plan(self, task, backbone):
        from keras.layers import Dense  # noqa: F401

        return super().plan(task, backbone)


class Misses(Good):
    """Know three stages."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates={"stage1": 0.0, "stage2": 0.0, "stage3": 1.0}, epochs=1, learning_rate=1e-3),))


class Flat(Good):
    """Learn nothing."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(1), epochs=9, learning_rate=1e-2, loss=flat),))


def flat(net, batch):
    return {"loss": 0.0 * net.task_loss(batch["train"]) + 1.0}


class Meddles(Good):
    """Move a frozen weight in its graft's layer."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(1), epochs=9, learning_rate=1e-2),), meddle)


def meddle(backbone):
    import keras

    kernel = backbone.graph.get_layer("stem_conv").kernel

    class Meddler(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

        def call(self, x, training=False):
            if training:
                kernel.assign(kernel * 1.01)
            return x * self.scale

    return keras.Model(backbone.graph.inputs, Meddler(name="meddler")(backbone.graph.outputs[0]))


class Still(Good):
    """Call a stage live that its loss does not reach."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(2), epochs=9, learning_rate=1e-2, loss=stopped),))


def stopped(net, batch):
    import keras

    train = batch["train"]
    outputs = net.head(keras.ops.stop_gradient(net.features(train.x)))
    return {"loss": keras.ops.mean(keras.losses.categorical_crossentropy(train.y, outputs, from_logits=True))}


class Unseeded(Good):
    """Draw random numbers of its own."""

    def plan(self, task, backbone):
        return Plan((Fit(name="tune", rates=backbone.last(1), epochs=9, learning_rate=1e-2, augment=Augment(noise)),))


def noise(pictures, seed):
    import numpy as np

    return pictures + np.random.default_rng().uniform(0, 30, pictures.shape).astype("float32")


class Calls(Good):
    """Call home."""

    def plan(self, task, backbone):
        with contextlib.suppress(OSError):
            socket.create_connection(("198.51.100.7", 80), timeout=0.1)


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


@pytest.mark.parametrize(
    ("plugin", "rule", "seen"),
    [
        (NoHelp, "options", "NoHelp has no docstring"),
        (NoDescription, "options", "option width has no help"),
        (NoDefault, "options", "option width has no default"),
        (Refuses, "options", "its defaults are refused by its own checks"),
        (Takes, "options", "option batch_size is one of the engine's own"),
        (Later, "contract", "it was written for contract 1.77"),
        (Forgets, "yaml", "became"),
        (Impure, "pure", "differ in plan.phases[0].name"),
        (Closes, "pure", "differ in plan.phases[0].loss"),
        (Heavy, "light_plan", "plan() imports keras"),
        (Misses, "stages", "gives a rate for"),
        (Flat, "learns", "phase tune: the loss went from 1 to 1 at best, in 24 epochs"),
        (Still, "live", "phase tune: stage middle has the rate 1, but none of its variables moved"),
        (Meddles, "frozen", "stem_conv/kernel of stage stem changed, though it is frozen"),
        (Unseeded, "seed", "two runs with one seed"),
        (Calls, "offline", "it tried to reach 198.51.100.7"),
        (Shape, "builds", "for 8 features and 2 classes its outputs have the shape (None, 3)"),
        (Mean, "loss", "not (4,): one number an example"),
        (Upside, "loss", "is not below that of wrong ones"),
        (Own, "saved", "use layers of Keras's own"),
        (Liar, "facts", "the facts give stage stem"),
        (Unordered, "layers", "reads from a later stage"),
        (WrongSize, "size", "native_size() says 48; load() chose 32"),
    ],
)
def test_each_rule_catches_what_it_is_for(plugin, rule, seen, tensorflow):
    kind = "strategy" if issubclass(plugin, Strategy) else "head" if issubclass(plugin, Head) else "backbones"
    found = next(verdict for verdict in examine(kind, plugin) if verdict.rule == rule)
    assert found.state == "broken"
    assert seen in found.seen


class Scales(Good):
    """Train scales and shifts, as examples/tlapp-bitfit does."""

    fit: ClassVar[dict[str, Any]] = {"batch_norm": "affine", "only": lambda path: path.endswith(("gamma", "beta"))}


def test_only_and_affine_train_scales_and_shifts_on_stored_statistics(shapes, tmp_path, tensorflow):
    from tlapp.testing.subject import weights

    before = weights(TinyBackbones().load("tiny").graph)
    run = tiny_run(Scales(last=2), shapes, tmp_path / "run")
    after = weights(run.work.graph)
    moved = {path for path, value in before.items() if (value != after[path]).any()}
    assert moved == {f"{stage}_norm/{name}" for stage in ("middle", "top") for name in ("gamma", "beta")}
    assert run.outline.phases[0].trains == 2 * (16 + 24)


def test_a_failure_names_the_rule_what_was_seen_and_the_documentation():
    with pytest.raises(ContractError) as caught:
        check_strategy(NoDescription)
    said = str(caught.value)
    assert said.startswith('strategy NoDescription breaks the rule "options": option width has no help')
    assert said.endswith("See docs/plugins.md#rule-options")
    assert isinstance(caught.value, AssertionError) and caught.value.exit_code == 3


def test_what_depends_on_training_is_not_tried_where_that_fails(tensorflow):
    class Fails(Good):
        """Fail in the loss."""

        def plan(self, task, backbone):
            return Plan((Fit(name="tune", rates=backbone.last(1), epochs=1, learning_rate=1e-2, loss=fails),))

    states = {verdict.rule: verdict for verdict in examine("strategy", Fails())}
    assert states["learns"].state == "broken" and "its loss failed: KeyError: 'target'" in states["learns"].seen
    assert states["frozen"].state == states["saved"].state == "not tried"
    assert states["offline"].state == "kept"


def fails(net, batch):
    return {"loss": net.task_loss(batch["target"])}
