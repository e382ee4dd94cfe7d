"""Layers that rounding harms most stay in float, in the default network."""

import numpy as np
import pytest
from helpers.artifacts import classify

import tlapp


@pytest.fixture(scope="module")
def run(world):
    return tlapp.train(
        plugin="freeze", data=str(world / "data"), run=str(world / "lite0"), image_size=32, epochs=12, learning_rate=0.01,
        test_share=0.4,
    )  # fmt: skip


@pytest.fixture(scope="module")
def test_pictures(run):
    from tlapp.engine.export.reference import load
    from tlapp.engine.report import Silent

    found = load(run, None, ("test",), 12, Silent())
    test = found.streams["test"]
    return found, test.examples.take(np.arange(len(test)))[0]


@pytest.mark.slow
def test_the_worst_layers_stay_in_float(run, test_pictures):
    from ai_edge_litert.interpreter import Interpreter

    from tlapp.engine.export.quantize.int8 import Int8

    selective = Int8(run.model, test_pictures[0].calibration, run.input.export)
    assert [layer.error for layer in selective.layers] == sorted((layer.error for layer in selective.layers), reverse=True)
    expected, errors = run.probabilities(test_pictures[1]), []
    for keep in (0, len(selective.layers)):
        lite = Interpreter(model_content=selective.convert(keep))
        lite.allocate_tensors()
        assert lite.get_input_details()[0]["dtype"] == np.uint8
        errors.append(np.abs([classify(lite, picture) for picture in test_pictures[1]] - expected).max())
    assert errors[1] < errors[0] / 2


@pytest.mark.slow
def test_dynamic_keeps_the_weights_that_rounding_harms_most(run, test_pictures):
    from ai_edge_litert.interpreter import Interpreter

    from tlapp.engine.export.quantize.dynamic import Dynamic

    dynamic = Dynamic(run.model, test_pictures[0].calibration, run.input.export)
    worst = dynamic.in_float(1000)
    assert len(worst) > 40 and [each.error for each in worst] == sorted((each.error for each in worst), reverse=True)
    expected, errors, sizes = run.probabilities(test_pictures[1]), [], []
    for keep in (0, 4, len(worst)):
        content = dynamic.convert(keep)
        lite = Interpreter(model_content=content)
        lite.allocate_tensors()
        sizes.append(len(content))
        errors.append(np.abs([classify(lite, picture) for picture in test_pictures[1]] - expected).mean())
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-5
    assert sizes[0] < sizes[1] < sizes[2]
