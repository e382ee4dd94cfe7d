"""feature-extract plans alike for equal options and refuses those that do not fit."""

from __future__ import annotations

import pytest
from tlapp_plugins.feature_extract import FeatureExtract

from tlapp.contracts import Backbone, ImageInput, Stage, Task, UserError

TASK = Task(("a", "b", "c"), {"train": 100})


BACKBONE = Backbone("x:y", ImageInput(32), (Stage("stem", 1), Stage("top", 1)))


@pytest.mark.parametrize("classifier", ["logistic", "linear-svm", "rbf-svm", "knn"])
def test_plan_is_pure_and_freezes_everything(classifier):
    plans = [FeatureExtract(classifier=classifier).plan(TASK, BACKBONE) for _ in range(2)]
    assert plans[0] == plans[1]
    assert set(plans[0].phases[0].rates.values()) == {0.0}


def test_more_examples_than_the_classifier_can_take_are_refused():
    with pytest.raises(UserError, match="at most 10000"):
        FeatureExtract(classifier="rbf-svm").plan(Task(("a", "b"), {"train": 20_000}), BACKBONE)
