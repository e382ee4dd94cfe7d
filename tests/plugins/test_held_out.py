"""few-shot holds training classes out and keeps the weights that learn them best, or those that it began with."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.one_phase import Tunes, lines, untrained_kernel
from tlapp_plugins.few_shot import FewShot
from tlapp_plugins.shared.discriminant import START, Discriminant
from tlapp_plugins.shared.held_out import HeldOut, Without, chosen

from tlapp.contracts import Backbone, Episodes, ImageInput, Stage, Task
from tlapp.engine.training.episodes import judge
from tlapp.errors import PluginError
from tlapp.testing import tiny_run

TOY = Backbone("toy", ImageInput(32), (Stage("one", 1), Stage("two", 1)))


def plan(classes, **options):
    return FewShot(**options).plan(Task(tuple(map(str, range(classes))), {"train": 900, "support": 9}), TOY)


def features_of(labels, hidden, seed=0):
    """Features whose classes differ in the first numbers only, if not hidden, beside much noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(len(labels), 24))
    if not hidden:
        features[:, :8] = 6 * np.random.default_rng(1).normal(size=(labels.max() + 1, 8))[labels] + rng.normal(
            size=(len(labels), 8)
        )
    return features


def test_a_sixth_of_many_classes_is_held_out_and_of_few_none():
    assert len(chosen(121, 1 / 6)) == len({*chosen(121, 1 / 6)}) == 20 and max(chosen(121, 1 / 6)) < 121
    assert chosen(29, 1 / 6) == () and len(chosen(30, 1 / 6)) == 5
    fit, _ = plan(60).phases
    assert (fit.select, fit.score.classes, fit.sampler.classes) == ("features", chosen(60, 1 / 6), chosen(60, 1 / 6))
    assert (fit.score.episodes.way, fit.sampler.episodes.way) == (10, 20)
    assert plan(20).phases[0].select == plan(60, hold_out=0).phases[0].select == "last"


def test_the_classes_of_support_choose_nothing():
    assert plan(60).phases[0].streams == ("train",)


def test_episodes_are_of_the_other_classes():
    labels = np.repeat(np.arange(9), 5)
    for rows in Without(Episodes(4, 1, 2), (1, 4, 8)).batches(labels, np.random.default_rng(0), 30):
        assert not {1, 4, 8} & {*labels[rows]} and len(rows) == 12


def test_the_score_looks_at_all_of_the_held_out_and_some_of_the_others(monkeypatch):
    monkeypatch.setattr("tlapp_plugins.shared.held_out.LIMIT", 10)
    labels = np.repeat(np.arange(9), 5)
    rows = HeldOut((1, 4), Episodes(2, 1, 2)).rows(labels)
    assert sorted(rows[:10]) == np.flatnonzero(np.isin(labels, (1, 4))).tolist()
    assert len({*rows[10:]}) == 10 and not {1, 4} & {*labels[rows[10:]]}


@pytest.mark.parametrize("classifier", ["ridge", "cosine", "logistic"])
def test_the_score_is_the_accuracy_of_what_adapt_does(classifier, tensorflow):
    labels, held_out = np.repeat(np.arange(12), 9), (0, 3, 5, 7, 9)
    features, drawn = features_of(labels, False), Episodes(4, 2, 3, 20)
    solver, other = Discriminant(shrinkage=START, classifier=classifier), ~np.isin(labels, held_out)
    learn = solver.few(solver.learn(None, features[other], labels[other], 12))
    expected = judge(drawn, learn, features[~other].astype("float32"), labels[~other], 0)["accuracy"]
    assert HeldOut(held_out, drawn, classifier)(features, labels) == pytest.approx(expected)
    assert expected > 0.9
    assert HeldOut(held_out, drawn, classifier)(features_of(labels, True), labels) < 0.5


class Scripted:
    """A score that says what a test wrote, and notes what it was shown."""

    def __init__(self, *scores):
        self.scores, self.seen = list(scores), []

    def rows(self, labels):
        return np.flatnonzero(labels < 2)

    def __call__(self, features, labels):
        self.seen.append((features.shape, {*labels.tolist()}))
        return self.scores[len(self.seen) - 1]


def tuned(shapes, folder, score, **fit):
    return tiny_run(Tunes(fit={"select": "features", "score": score, **fit}), shapes, folder / "run")


def test_the_best_weights_by_the_score_are_kept(shapes, tmp_path, tensorflow):
    score = Scripted(0.1, 0.4, 0.9, 0.5)
    run = tuned(shapes, tmp_path, score)
    assert [epoch.validation for epoch in lines(run)] == [{"score": each} for each in (0.4, 0.9, 0.5)]
    assert [epoch.best for epoch in lines(run)] == [True, True, False]
    assert all(labels == {0, 1} for _, labels in score.seen)


def test_where_no_epoch_is_better_the_weights_stay_as_they_were(shapes, tmp_path, tensorflow):
    run = tuned(shapes, tmp_path, Scripted(0.8, 0.4, 0.8, 0.5))
    np.testing.assert_array_equal(run.backbone.graph.get_layer("top_conv").kernel.numpy(), untrained_kernel())


@pytest.mark.parametrize(
    ("fit", "sentence"),
    [
        ({"score": None}, 'a score is what select="features" chooses by'),
        ({"select": "val"}, 'a score is what select="features" chooses by'),
        ({"score": len}, "score must be a function with rows"),
        ({"score": Scripted(float("nan"))}, "its score must return a finite number"),
    ],
)
def test_a_bad_score_is_told(fit, sentence, shapes, tmp_path, tensorflow):
    with pytest.raises(PluginError, match=sentence):
        tuned(shapes, tmp_path, **{"score": Scripted(0.1), **fit})


def test_rows_that_are_none_of_train_are_told(shapes, tmp_path, tensorflow):
    score = Scripted(0.1)
    score.rows = lambda labels: np.array([10_000])
    with pytest.raises(PluginError, match=r"rows\(\) of its score must return row numbers"):
        tuned(shapes, tmp_path, score)
