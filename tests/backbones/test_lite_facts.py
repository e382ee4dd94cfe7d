"""The facts that are told without loading are those of the networks."""

from __future__ import annotations

import pytest

from tlapp.backbones.keras_cv import KerasCV
from tlapp.tensorflow_import import forbid_tensorflow


@pytest.mark.parametrize("size", [None, 77, 100])
@pytest.mark.parametrize("number", range(5))
def test_computed_facts_are_the_networks(number, size, tensorflow):
    name, provider = f"efficientnet-lite{number}", KerasCV()
    assert provider.facts(name, size) == provider.load(name, image_size=size, weights="none").facts


def test_they_need_no_keras():
    with forbid_tensorflow():
        assert len(KerasCV().facts("efficientnet-lite0").stages) == 8
    assert KerasCV().facts("resnet50-v1") is None
