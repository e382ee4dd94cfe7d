"""The law of the cut: front and rest together are the whole graph."""

from __future__ import annotations

import numpy as np
from helpers.drawn import RATES, built, graphs
from hypothesis import HealthCheck, given, settings

from tlapp.contracts import Fit

drawn = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(graphs(), RATES)
@settings(drawn, max_examples=50)
def test_front_and_rest_are_the_whole_graph(tensorflow, todo, rates):
    from tlapp.contracts.graph import replay
    from tlapp.engine.network.cut import cut
    from tlapp.engine.network.net import infer

    graph, stage_of = built(todo)
    where = cut(graph, rates, stage_of)
    x = tensorflow.constant(np.random.default_rng(0).normal(size=(5, 4)).astype("float32"))
    front = replay(where.front, {id(where.inputs[0]): x}, infer)
    assert not any(lives(step, rates, stage_of) for step in where.front)
    # The rest sees nothing but the boundary, and all of it.
    rest = replay(where.rest, {id(t): front[id(t)] for t in where.boundary}, infer)
    assert np.array_equal(rest[id(where.output)], graph(x, training=False))
    if where.rest:
        assert {id(t) for t in where.boundary} <= {id(t) for step in where.rest for t in step.inputs}
    # What is frozen and reads what is frozen is in the front, unless no front is worth computing.
    frozen = {id(t) for step in where.front for t in step.outputs} | {id(where.inputs[0])}
    for step in () if where.at_input else where.rest:
        assert lives(step, rates, stage_of) or not all(id(t) in frozen for t in step.inputs)


def lives(step, rates, stage_of):
    """Whether the step trains by itself: its stage's rate is above 0 or, having none, it has weights."""
    name = step.operation.name
    return rates[stage_of[name]] > 0 if name in stage_of else bool(getattr(step.operation, "weights", ()))


@given(graphs(), RATES)
@settings(drawn, max_examples=8)
def test_the_compiled_front_and_the_net_of_a_phase_are_the_whole_graph(tensorflow, todo, rates):
    from tlapp.engine.network.cut import cut
    from tlapp.engine.network.front import Front
    from tlapp.engine.network.net import PhaseNet

    graph, stage_of = built(todo)
    where = cut(graph, rates, stage_of)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    crossing = [x] if where.at_input else Front(graph, where.boundary)([x])
    net = PhaseNet(where, Fit(name="a", rates=rates, epochs=1, learning_rate=1.0), stage_of, None, None, {})
    np.testing.assert_allclose(net.describe(tuple(crossing)), graph(x, training=False), rtol=1e-4, atol=1e-5)
