"""What `tlapp backbones list` says without loading a network is true of the networks.

`python tests/backbones/test_cards.py` counts all of them anew and writes tlapp/backbones/networks.json, in minutes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest import mock

import pytest

FACTS = Path(__file__).parents[2] / "tlapp" / "backbones" / "networks.json"
TINY = ("keras:EfficientNetB0", "keras-cv:csp-darknet-tiny")


def counted(identity):
    """The parameters of a network, untrained, and the name of its file of ImageNet weights, "" where nothing is downloaded."""
    import keras

    from tlapp import registry
    from tlapp.backbones import keras_applications

    provider, name = registry.backbone(identity)
    files = []

    def download(name, file, url, options):
        files.append(file)
        return file

    with (
        mock.patch.object(keras_applications, "_download", download),
        mock.patch.object(keras.Model, "load_weights", lambda *args, **kwargs: None),
    ):
        loaded = provider.load(name, weights=None if identity.startswith("keras:") else "none")
    keras.backend.clear_session()
    return {"params": sum(stage.params for stage in loaded.facts.stages), "file": files[0] if files else ""}


def identities():
    """Every network of both providers, but those whose facts are computed."""
    from tlapp.backbones.keras_applications import KerasApplications
    from tlapp.backbones.keras_cv import KerasCV
    from tlapp.backbones.keras_cv_facts import LITE

    return [
        *(f"keras:{name}" for name in KerasApplications().names()),
        *(f"keras-cv:{name}" for name in KerasCV().names() if name not in LITE),
    ]


@pytest.mark.parametrize("identity", TINY)
def test_a_small_network_has_the_parameters_that_its_card_says(identity, tensorflow):
    assert json.loads(FACTS.read_text())[identity] == counted(identity)


@pytest.mark.slow
def test_every_network_has_the_parameters_that_its_card_says(tensorflow):
    facts = json.loads(FACTS.read_text())
    assert {identity: counted(identity) for identity in identities()} == facts


if __name__ == "__main__":
    found = {}
    for each in identities():
        found[each] = counted(each)
        print(each, found[each], file=sys.stderr, flush=True)
        rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(facts)}" for name, facts in found.items())
        FACTS.write_text(f"{{\n{rows}\n}}\n")
