"""The law of resume: a run that was stopped at any step ends as one that was not, to the bit. A new strategy is a row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers.teachers import teacher
from strange import Draws, SolveThenTune
from tlapp_plugins.mlp import Mlp

from tlapp import registry
from tlapp.testing import Dense, tiny_run
from tlapp.testing.tiny import CLASSES


class Row(NamedTuple):
    """A training, and the steps or ends of epochs after which it is stopped.

    Attributes:
        strategy: the name of an installed one, or one of the tests' own.
        others: the option that takes the second folder: target, aux or none.
    """

    strategy: Any
    options: dict[str, Any]
    stops: tuple[int, ...]
    others: str = ""
    head: Any = Dense
    slow: bool = False


SHORT = {"warmup": 1, "epochs": 2}
ADAPT = {"warmup": 2, "source_epochs": 2, "epochs": 2, "last": 1}
ROWS = {
    "freeze, dropout in the head": Row("freeze", {"epochs": 2}, (5,), head=Mlp),
    "partial": Row("partial", SHORT, (11,)),
    "full": Row("full", SHORT, (11,), slow=True),
    "layerwise": Row("layerwise", SHORT, (11,), slow=True),
    "gradual": Row("gradual", {**SHORT, "last": 2}, (12,), slow=True),
    "surgical": Row("surgical", SHORT, (23,), slow=True),
    "distill, blend, average, pull": Row(
        "distill", {**SHORT, "last": 1, "average": 0.9, "blend": 2, "l2_sp": 0.1, "teacher": ""}, (11,), "target", slow=True
    ),
    "feature-extract": Row("feature-extract", {}, ()),
    "probe": Row("probe", {}, ()),
    "adapters": Row("adapters", SHORT, (11,)),
    "few-shot, second derivatives": Row("few-shot", {"method": "maml", "epochs": 2, "last": 1, "inner_steps": 1}, (5,)),
    "progressive": Row("progressive", {**SHORT, "last": 1}, (11,), slow=True),
    "multi-task": Row("multi-task", {**SHORT, "last": 1}, (11,), "aux", slow=True),
    "adversarial, all methods": Row("adversarial", ADAPT, (34,), "target", slow=True),
    "augment-adapt": Row("augment-adapt", {**ADAPT, "views": 2}, (20,), "target", slow=True),
    "self-training": Row("self-training", {**ADAPT, "rounds": 2}, (25,), "target", slow=True),
    "self-supervised": Row("self-supervised", {**ADAPT, "views": 2, "pretrain_epochs": 2}, (34,), "target", slow=True),
    "a solved head that is tuned": Row(SolveThenTune(epochs=2), {}, (5,)),
    "a loss that draws": Row(Draws(epochs=2), {}, (5,)),
}
STOPS = [
    pytest.param(name, at, id=f"{name}-{at}", marks=[pytest.mark.slow] if row.slow else [])
    for name, row in ROWS.items()
    for at in row.stops
]


def test_every_strategy_has_a_row():
    raced = {"auto"}  # a run for each of its rungs: tests/test_race.py
    assert set(registry.installed("strategy")) - raced <= {row.strategy for row in ROWS.values() if isinstance(row.strategy, str)}


@pytest.fixture(scope="module")
def whole(domains, tmp_path_factory):
    """Name of a row -> the uninterrupted run, and its folder; each is made once."""
    runs = {}

    def get(name):
        if name not in runs:
            row, folder = ROWS[name], tmp_path_factory.mktemp("whole") / "run"
            kind = registry.load("strategy", row.strategy) if isinstance(row.strategy, str) else None
            options = {**row.options}
            if "teacher" in options:
                options["teacher"] = str(teacher(folder.parent / "teacher", CLASSES))
            strategy = kind(**options) if kind else row.strategy
            others = {row.others: str(domains[1])} if row.others else {}
            run = tiny_run(strategy, domains[0], folder, row.head(), patience=100, **others)
            runs[name] = run, folder, weights(run)
        return runs[name]

    return get


def weights(run):
    return [np.array(variable) for variable in run.work.model().weights]


@pytest.mark.parametrize(("name", "at"), STOPS)
def test_stopped_and_resumed_it_ends_the_same(name, at, whole, tmp_path, tensorflow, monkeypatch):
    """Blocks of one step, so that `at` counts steps and ends of epochs."""
    from tlapp.engine.report import Silent
    from tlapp.engine.run import Interrupted, Run, train
    from tlapp.engine.training import steps

    monkeypatch.setattr(steps, "BLOCK_BYTES", 1)
    expected, folder, state = whole(name)
    count, phases = [0], {slot.phase.name for slot in expected.work.slots}

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
    resumed = Run(job, Silent(), resume=True)
    for step in (resumed.load, resumed.prepare, resumed.begin):
        step()
    resumed.work.carry_out()
    resumed.finish()
    assert (tmp_path / "cut" / "history.csv").read_text() == (folder / "history.csv").read_text()
    one, other = (json.loads((each / "metrics.json").read_text()) for each in (folder, tmp_path / "cut"))
    for key in ("val", "test", "target", "aux", "adaptation"):
        assert one.get(key) == other.get(key), key
    assert all(np.array_equal(a, b) for a, b in zip(state, weights(resumed), strict=True))
