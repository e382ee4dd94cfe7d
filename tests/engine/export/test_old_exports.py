"""A SavedModel that tlapp 0.1.0 exported, before golden vectors told of their input, is still verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tlapp.engine.export.verify import verify

OLD = Path(__file__).parents[2] / "data" / "savedmodel-0.1.0"


@pytest.mark.slow
def test_an_old_saved_model_is_verified(tensorflow):
    assert "input" not in json.loads((OLD / "golden.json").read_text())
    result = verify(OLD)
    assert result["images"] == 8 and result["largest_difference"] < 1e-4
