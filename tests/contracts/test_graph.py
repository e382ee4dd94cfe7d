"""What grafts are made with: the tensors that leave the stages, and functions after them."""

from __future__ import annotations

import numpy as np
import pytest

from tlapp.contracts.graph import after, ends
from tlapp.testing import SIZE, TinyBackbones


@pytest.fixture(scope="module")
def loaded(tensorflow):
    return TinyBackbones().load("tiny")


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype("float32")


def test_every_stage_ends_in_a_tensor_of_its_shape(loaded):
    found = ends(loaded)
    assert list(found) == [stage.name for stage in loaded.facts.stages]
    assert [tuple(tensor.shape[1:]) for tensor in found.values()] == [stage.shape for stage in loaded.facts.stages]
    assert len({id(tensor) for tensor in found.values()}) == len(found)


def test_an_end_is_the_last_that_the_stage_computes(loaded, batch):
    import keras

    first = loaded.facts.stages[0].name
    end = ends(loaded)[first]
    before = keras.Model(loaded.graph.inputs, end)
    assert not set(loaded.stage_of[layer.name] for layer in before.layers if layer.name in loaded.stage_of) - {first}
    weighted = {layer.name for layer in before.layers if layer.weights}
    assert weighted == {*loaded.facts.stages[0].layers}


def test_functions_that_change_nothing_leave_the_answers_to_the_bit(loaded, batch):
    import keras

    same = after(loaded, {stage.name: keras.layers.Activation("linear") for stage in loaded.facts.stages})
    assert len(same.layers) == len(loaded.graph.layers) + len(loaded.facts.stages)
    assert np.array_equal(same(batch), loaded.graph(batch))


def test_what_follows_a_stage_reads_the_function_s_answer(loaded, batch):
    last = loaded.facts.stages[-1].name
    doubled = after(loaded, {last: lambda map_: 2 * map_})
    assert np.allclose(doubled(batch), 2 * np.asarray(loaded.graph(batch)), rtol=1e-5)


def test_an_unknown_stage_is_named(loaded):
    names = ", ".join(stage.name for stage in loaded.facts.stages)
    with pytest.raises(ValueError, match=f"tiny:tiny has no stage tail; its stages: {names}"):
        after(loaded, {"tail": lambda map_: map_})
