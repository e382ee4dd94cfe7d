"""Which options of a run nothing in a plan reads: by what its phases bring themselves."""

from __future__ import annotations

from tlapp.contracts import Augment, Fit, Plan, Solve, Statistics
from tlapp.engine.check import unread_options
from tlapp.engine.training.kind import TRAINING
from tlapp.testing.anatomy import backbone

RATES = backbone(3).frozen()
OWN = Augment(lambda pictures, seed: pictures)


def fit(name="a", **more):
    return Fit(name=name, rates=RATES, epochs=1, learning_rate=1.0, **more)


def unread(*phases):
    return {key for key in unread_options(Plan(phases)) if key not in ("aux", "support", "query", "refit")}


def test_a_phase_that_brings_nothing_reads_all():
    assert unread(fit()) == set()


def test_what_every_phase_brings_is_not_read():
    assert unread(fit(weight_decay=0.1)) == {"weight_decay"}
    assert unread(fit(augment=OWN)) == unread(fit(augments=(OWN, OWN))) == {"augment"}
    assert unread(fit(streams=("target",))) == {"label_smoothing", "class_weights"}


def test_one_phase_that_does_not_bring_it_reads_it():
    assert unread(fit(weight_decay=0.1, augment=OWN, streams=("target",)), fit("b")) == set()


def test_without_a_gradient_no_option_of_training_is_read():
    solve = Solve(name="solve", rates=RATES, solver=lambda features, labels, classes: None)
    assert unread(solve, Statistics(name="statistics", rates=RATES)) == TRAINING


def test_only_a_head_in_closed_form_is_fitted_again():
    solve = Solve(name="solve", rates=RATES, solver=lambda features, labels, classes: None)
    assert "refit" not in unread_options(Plan((fit(), solve)))
    assert "val chooses among the epochs" in unread_options(Plan((solve, fit())))["refit"]


def test_a_second_set_is_read_by_who_names_it():
    for name in ("aux", "support", "query"):
        assert name in unread_options(Plan((fit(),)))
        assert name not in unread_options(Plan((fit(streams=("train", name)),)))
