"""Every strategy's plan covers every stage in order, whatever its options and the backbone."""

from __future__ import annotations

import pytest
from helpers.drawn import STREAMS, backbones, options
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tlapp import registry
from tlapp.contracts import Fit, Task, UserError
from tlapp.engine.check import make_plan
from tlapp.engine.training.order import in_order
from tlapp.testing.same import difference

drawn = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


# The plan of `distill` opens the trained run that is its teacher.
@pytest.mark.parametrize("name", [name for name in registry.installed("strategy") if name != "distill"])
@given(data=st.data(), facts=backbones())
@settings(drawn, max_examples=25)
def test_a_plan_covers_every_stage_in_order_and_is_the_same_for_equal_inputs(name, data, facts):
    kind = registry.load("strategy", name)
    chosen = data.draw(options(kind))
    task = Task(("circle", "square", "stripe"), STREAMS)
    try:
        plan = make_plan(kind(**chosen), task, facts)
    except UserError:
        assume(False)
    assert difference(plan, make_plan(kind(**chosen), task, facts)) == ""
    stages = [stage.name for stage in facts.stages]
    phases = [place.phase for place in in_order(plan)]
    living = [[name for name in stages if phase.rates[name] > 0] for phase in phases]
    for phase, names in zip(phases, living, strict=True):
        assert set(phase.rates) == set(stages) and set(phase.streams) <= set(STREAMS)
        assert name == "surgical" or names == stages[len(stages) - len(names) :]  # nothing lives before what is frozen
    simple = [phase for phase in phases if phase.name.startswith("simple")]  # an adapting strategy's first candidate
    fits = [phase for phase in phases if isinstance(phase, Fit) and "train" in phase.streams and phase not in simple]
    warm = [i for i, phase in enumerate(fits) if phase.name == "warm-up"]
    assert all(not any(phase.rates.values()) for phase in simple) and [*phases[: len(simple)]] == simple
    assert warm in ([], [0])  # the head is warmed up before anything else trains on it
    if name == "gradual":
        counts = [len(names) for names in living]
        assert counts == sorted(counts)
