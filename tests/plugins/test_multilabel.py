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
