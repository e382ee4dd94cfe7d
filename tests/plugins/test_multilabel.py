"""The head for several labels keeps the contract, and its focal loss does what it says."""

import numpy as np
import pytest
from tlapp_plugins.multilabel import MultiLabel

from tlapp.testing import check_head


@pytest.mark.slow
@pytest.mark.parametrize("focus", [0.0, 2.0])
def test_keeps_the_contract(focus):
    check_head(MultiLabel(focus=focus))


def test_focus_forgives_what_is_right_already():
    labels, sure, torn = np.array([[1.0, 0.0]]), np.array([[4.0, -4.0]]), np.array([[0.1, -0.1]])
    plain, focal = MultiLabel(), MultiLabel(focus=2.0)
    ratios = [float(focal.loss(labels, outputs)[0] / plain.loss(labels, outputs)[0]) for outputs in (sure, torn)]
    assert ratios[0] < 0.001 and ratios[1] > 0.1


def test_thresholds_keep_what_was_asked_for():
    scores = np.array([[0.9, 0.2], [0.8, 0.9], [0.6, 0.1], [0.4, 0.3], [0.2, 0.6]])
    labels = np.array([[1, 0], [1, 0], [0, 0], [1, 0], [0, 0]], bool)
    assert MultiLabel().thresholds(scores, labels) is None
    precise = MultiLabel(precision=0.75).thresholds(scores, labels)
    assert precise == pytest.approx([0.3, 0.5])  # 3 of 4 are right from 0.4 on; the second label is never there
    assert MultiLabel(precision=0.9).thresholds(scores, labels)[0] == pytest.approx(0.7)
    assert MultiLabel(recall=0.6).thresholds(scores, labels)[0] == pytest.approx(0.7)  # 2 of 3 are found from 0.8 on
    assert MultiLabel(recall=0.9).thresholds(scores, labels)[0] == pytest.approx(0.3)
    wrong = MultiLabel(precision=0.9).thresholds(scores[:, :1], ~labels[:, :1])
    assert wrong[0] == pytest.approx(0.1)  # none reaches it: the most precise is 2 of 5
