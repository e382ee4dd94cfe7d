"""A run without TensorFlow beside the same run with it."""

from __future__ import annotations

import pytest

from tlapp.engine.export.fast import FastRun
from tlapp.engine.runs.saved import SavedRun


def check_same_without_tensorflow(folder, files):
    """Keep the file of a run, and compare its answers with those of the Keras model."""
    FastRun(folder).keep()
    fast = FastRun(folder)
    assert fast.fast
    for one, other in zip(fast.predict(files), SavedRun(folder).predict(files), strict=True):
        assert (one.file, one.known, [*dict(one.labels)]) == (other.file, other.known, [*dict(other.labels)])
        assert dict(one.labels) == pytest.approx(dict(other.labels), rel=1e-4, abs=1e-4)
    assert "model" not in vars(fast)
