"""A stopped and resumed adaptation ends as one that was never stopped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.adaptation import STRATEGIES, adapted


@pytest.mark.parametrize(
    ("name", "at"), [("adversarial", 34), ("self-training", 25), ("self-supervised", 26), ("self-supervised", 34)]
)
def test_stopped_and_resumed_ends_the_same(name, at, domains, tmp_path, tensorflow, monkeypatch):
    """Blocks of one step, so that `at` counts steps and ends of epochs."""
    from tlapp.engine.report import Silent
    from tlapp.engine.run import Interrupted, train
    from tlapp.engine.training import steps

    monkeypatch.setattr(steps, "BLOCK_BYTES", 1)
    expected, _ = adapted(STRATEGIES[name], domains, tmp_path / "whole")
    count, phases = [0], {phase.name for phase in expected.work.phases}

    class Stop(Silent):
        def progress(self, task, done, of):
            count[0] += task in phases
            if count[0] == at:
                raise KeyboardInterrupt

    options = expected.job.options.model_copy(update={"run": str(tmp_path / "cut")})
    job = replace(expected.job, options=options, settings=options.model_dump(mode="json"))
    with pytest.raises(Interrupted):
        train(job, Stop())
    assert not (tmp_path / "cut" / "metrics.json").exists()
    train(job, Silent(), resume=True)
    assert (tmp_path / "cut" / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()
    whole, cut = (json.loads((tmp_path / each / "metrics.json").read_text()) for each in ("whole", "cut"))
    assert all(whole[key] == cut[key] for key in ("val", "test", "target")) and whole.get("adaptation") == cut.get("adaptation")
