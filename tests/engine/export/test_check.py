"""The check compares the exported model's answers with the trained model's."""

import numpy as np
import pytest
from helpers.artifacts import LATENCY

from tlapp.engine.export.check import Truth, check
from tlapp.engine.export.formats.artifact import Answers
from tlapp.engine.export.reference import spread


def judged(before, after, labels, quantised=False, max_drop=0.01, **others):
    before, after = np.array(before, float), np.array(after, float)
    truth = Truth(before, np.array(labels), ("a", "b"))
    return check(truth, Answers(after, ("a", "b"), LATENCY, others), 10, quantised, max_drop)


def test_an_equal_artifact_passes():
    found = judged([[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.2, 0.8]], [0, 0])
    assert (found.fault, found.agreement, found.before, found.largest_difference) == ("", 1, 0.5, 0)
    assert found.classes == {"a": {"n": 2, "accuracy_before": 0.5, "accuracy_after": 0.5}}


def test_a_tie_is_no_disagreement():
    found = judged([[0.50001, 0.49999]], [[0.49999, 0.50001]], [0])
    assert (found.ties, found.agreement, found.fault) == (1, 1, "")


@pytest.mark.parametrize(
    "after, quantised, told",
    [
        ([[0.4, 0.6], [0.2, 0.8]], False, "top label differs from the Keras model's on 1 of 2"),
        ([[0.8, 0.2], [0.2, 0.8]], False, "differ from the Keras model's by up to 0.1"),
        ([[0.4, 0.6], [0.2, 0.8]], True, "a drop of 0.5000, over option max_drop=0.01"),
        ([[np.nan, 0.6], [0.2, 0.8]], True, "not all finite numbers"),
    ],
)
def test_another_artifact_fails(after, quantised, told):
    assert told in judged([[0.9, 0.1], [0.2, 0.8]], after, [0, 1], quantised).fault


def test_endpoints_that_differ_fail():
    rows = [[0.9, 0.1], [0.2, 0.8]]
    assert "serve_uint8 answers the same" in judged(rows, rows, [0, 1], serve_uint8=np.array([[0.8, 0.2], [0.2, 0.8]])).fault


def test_other_labels_fail():
    rows = np.array([[0.9, 0.1]])
    found = check(Truth(rows, np.array([0]), ("a", "b")), Answers(rows, ("b", "a"), LATENCY, {}), 1, False, 0)
    assert "names the classes b, a; the run's are a, b" in found.fault


def test_a_drop_of_exactly_the_limit_passes():
    before = np.tile([[0.9, 0.1]], (100, 1))
    after = before.copy()
    after[0] = after[0, ::-1]
    assert judged(before, after, [0] * 100, True, 0.01).fault == ""
    assert judged(before, after, [0] * 100, True, 0.009).fault


def test_calibration_takes_every_class_in_turn():
    labels = np.array([0] * 50 + [1] * 3 + [2] * 50)
    chosen = spread(labels, 30)
    assert len(set(chosen)) == 30 and np.bincount(labels[chosen]).tolist() in ([14, 3, 13], [13, 3, 14])
    assert len(spread(labels, 1000)) == 103
