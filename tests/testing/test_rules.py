"""The conformance suite: first-party plugins keep every rule, and each rule catches what it is for."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from broken.backbones import KeyErrors, Liar, Random, Silenced, Unordered, WrongSize
from broken.heads import Inverse, Mean, Own, Shape, Underscore, Upside
from broken.heavy import HeavyImport
from broken.reporters import Chatty, Hopeful
from broken.strategies import (
    Calls,
    Closes,
    Elsewhere,
    Flat,
    Forgets,
    Good,
    Heavy,
    Impure,
    Later,
    Meddles,
    Misses,
    MovesStatistics,
    NoDefault,
    NoDescription,
    NoHelp,
    Refuses,
    Remembers,
    Still,
    Takes,
    Unseeded,
    Untypable,
)
from helpers.teachers import teacher

from tlapp import registry
from tlapp.contracts import Fit, Head, Plan, RunReporter, Strategy
from tlapp.testing import (
    CLASSES,
    SIZE,
    ContractError,
    TinyBackbones,
    check_backbones,
    check_head,
    check_strategy,
    examine,
    rules,
    tiny_run,
)
from tlapp.testing.check import attempt, preparing, rules_of
from tlapp.testing.kinds import KINDS

EVERY = [f"{kind}/{name}" for kind in ("strategy", "head") for name in registry.installed(kind)]


BREAKERS = [
    (NoHelp, "options", "NoHelp has no docstring"),
    (NoDescription, "options", "option width has no help"),
    (NoDefault, "options", "option width has no default"),
    (Untypable, "options", "option table cannot be typed on a command line"),
    (Refuses, "options", "its defaults are refused by its own checks"),
    (Takes, "options", "option batch_size is already an option of the engine"),
    (Later, "contract", "it was written for contract 1.77"),
    (Forgets, "yaml", "became"),
    (Impure, "pure", "differ in plan.phases[0].name"),
    (Closes, "pure", "differ in plan.phases[0].loss"),
    (Heavy, "light_plan", "plan() imports keras"),
    (Misses, "stages", "gives a rate for"),
    (Flat, "learns", "phase tune: the loss went from 1 to 1 at best, in 24 epochs"),
    (Still, "live", "phase tune: stage middle has the rate 1, but none of its variables moved"),
    (Meddles, "frozen", "stem_conv/kernel of stage stem changed, though it is frozen"),
    (MovesStatistics, "norms", "top_norm/moving_mean of stage top changed, though it is frozen"),
    (Elsewhere, "keeps", "no epoch of the phases tune was better than the phase's beginning"),
    (Unseeded, "seed", "two runs with one seed"),
    (Remembers, "resume", "is lost when a run stops"),
    (Calls, "offline", "it tried to reach 198.51.100.7"),
    (HeavyImport, "light_import", "importing broken.heavy imports keras"),
    (Shape, "builds", "for 8 features and 2 classes its outputs have the shape (None, 3)"),
    (Mean, "loss", "not (4,): one number per example"),
    (Upside, "loss", "is not below that of wrong ones"),
    (Own, "saved", "use layers of Keras's own"),
    (Underscore, "savedmodel", "ValueError"),
    (Inverse, "tflite", "no built-in counterpart of Erfinv"),
    (KeyErrors, "names", "must raise a UserError. It raised KeyError"),
    (Liar, "facts", "parameters for stage stem; it has"),
    (Silenced, "graph", "not finite, or are all the same"),
    (Unordered, "layers", "reads from a later stage"),
    (Random, "cut", "cut before the last stage, features differ by up to"),
    (WrongSize, "size", "native_size() says 48; load() chose 32"),
    (Chatty, "told", "epoch() must answer True, False or None. Received: 'yes'"),
    (Hopeful, "stops", "has no attribute 'close'"),
]
"""A plugin, the rule that it breaks, and what is seen of it."""


class Scales(Good):
    """Train scales and shifts, as examples/tlapp-bitfit does."""

    fit: ClassVar[dict[str, Any]] = {"batch_norm": "affine", "only": lambda path: path.endswith(("gamma", "beta"))}


@pytest.mark.slow  # those of the tutorial and of tests/broken keep them in each run of the tests
@pytest.mark.parametrize("plugin", EVERY)
def test_first_party_plugins_keep_every_rule(plugin, tmp_path, tensorflow):
    kind, name = plugin.split("/")
    options = {"teacher": str(teacher(tmp_path / "teacher", CLASSES, SIZE))} if name == "distill" else {}
    {"strategy": check_strategy, "head": check_head}[kind](registry.load(kind, name)(**options))


@pytest.mark.parametrize("plugin", EVERY)
def test_every_option_of_a_first_party_plugin_can_be_typed(plugin):
    """Also those whose parts have bounds of their own; the check of the rule takes no network."""
    kind, name = plugin.split("/")
    fields = registry.load(kind, name).model_fields
    assert not [key for key, field in fields.items() if not rules._can_be_typed(field.annotation)]


@pytest.mark.slow
def test_the_first_party_backbones_keep_every_rule(tensorflow):
    check_backbones(registry.load("backbone", "keras-cv")())


def test_the_tiny_backbone_keeps_every_rule(tensorflow):
    verdicts = [*examine("backbone", TinyBackbones())]
    assert [verdict.rule for verdict in verdicts] == [rule.__name__ for rule in rules_of("backbone")]
    assert not [verdict for verdict in verdicts if verdict.state != "kept"]


def kind_of(plugin):
    kinds = {Strategy: "strategy", Head: "head", RunReporter: "reporter"}
    return next((kind for base, kind in kinds.items() if issubclass(plugin, base)), "backbone")


@pytest.mark.parametrize(("plugin", "rule", "seen"), BREAKERS)
def test_each_rule_catches_what_it_is_for(plugin, rule, seen, tensorflow):
    import keras

    kind = kind_of(plugin)
    with preparing(kind, plugin) as subject:
        if rule == "offline":  # it looks back on what the other rules ran
            attempt(next(each for each in rules_of(kind) if each.__name__ == "pure"), subject)
        verdict = attempt(next(each for each in rules_of(kind) if each.__name__ == rule), subject)
    keras.utils.clear_session()  # an export that fails leaves a name scope open
    assert verdict.state == "broken"
    assert seen in verdict.seen


def test_every_rule_is_broken_by_some_plugin():
    broken = {each for plugin, rule, _ in BREAKERS for each in rules_of(kind_of(plugin)) if each.__name__ == rule}
    every = {each for kind in KINDS for each in rules_of(kind)}
    assert {each.__name__ for each in every - broken} == set()


def test_the_plugin_that_the_broken_ones_are_made_from_breaks_no_rule(tensorflow):
    assert [verdict for verdict in examine("strategy", Good) if verdict.state != "kept"] == []


def test_the_older_word_for_a_kind_is_understood():
    assert rules_of("backbones") == rules_of("backbone")


def test_only_and_affine_train_scales_and_shifts_on_stored_statistics(shapes, tmp_path, tensorflow):
    from tlapp.testing.trial import weights

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


@pytest.mark.slow
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
