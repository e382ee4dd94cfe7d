import numpy as np
from tlapp_multilabel import MultiLabel, label_probabilities, membership

from tlapp.testing import check_head


def test_keeps_the_contract():
    check_head(MultiLabel())


def test_sets_of_labels():
    labels, inside = membership(("none", "red", "red;round", "round; big"))
    assert labels == ("big", "red", "round")
    assert inside.tolist() == [[0, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 1]]


def test_a_label_is_as_probable_as_the_sets_that_hold_it():
    labels, found = label_probabilities(("none", "red", "red;round"), [[0.5, 0.2, 0.3]])
    assert labels == ("red", "round")
    assert np.allclose(found, [[0.5, 0.3]])
