"""A+B: the features of both, side by side; stages of both; runs that freeze, tune, export and are opened again."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny_place import furnish

import tlapp
from tlapp import registry
from tlapp.backbones.joined import parts_of
from tlapp.errors import UserError
from tlapp.testing import SIZE


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """Two networks of one shape with other weights, and one of grey pictures, in a folder whose name has a plus sign."""
    import keras

    folder = furnish(tmp_path_factory.mktemp("a+b"), each=16)
    other = keras.models.clone_model(keras.saving.load_model(folder / "tiny.keras"))
    rng = np.random.default_rng(1)
    other.set_weights([rng.permutation(array.ravel()).reshape(array.shape) for array in other.get_weights()])
    other.save(folder / "other.keras")
    grey = keras.Sequential([keras.Input((SIZE, SIZE, 1)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()])
    grey.save(folder / "grey.keras")
    return folder


def load(identity, **options):
    provider, name = registry.backbone(identity)
    return provider.load(name, image_size=SIZE, **options)


def test_a_plus_sign_joins_only_where_a_provider_follows():
    assert parts_of("file:/a+b/c.keras+keras:MobileNetV2") == ["file:/a+b/c.keras", "keras:MobileNetV2"]
    assert parts_of("file:a+b.keras") == ["file:a+b.keras"]


def test_features_are_those_of_both_and_stages_end_together(place):
    import keras

    both = load(f"file:{place}/tiny.keras+file:{place}/other.keras")
    x = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.float32)
    apart = [np.asarray(keras.saving.load_model(place / f"{name}.keras")(x)) for name in ("tiny", "other")]
    np.testing.assert_array_equal(np.asarray(both.graph(x)), np.concatenate(apart, 1))
    one = load(f"file:{place}/tiny.keras").facts.stages
    names = [stage.name for stage in both.facts.stages]
    assert names == [f"{stage.name}-{number}" for stage in one for number in (1, 2)]
    assert [stage.params for stage in both.facts.stages] == [stage.params for stage in one for _ in (1, 2)]
    layers = [layer for stage in both.facts.stages for layer in stage.layers]
    assert len(layers) == len({*layers}) and {*layers} <= {layer.name for layer in both.graph.layers}
    assert {both.stage_of[layer] for layer in both.facts.stages[-1].layers} == {names[-1]}


@pytest.mark.parametrize("plugin", ["freeze", *(pytest.param(each, marks=pytest.mark.slow) for each in ("partial", "probe"))])
def test_a_run_of_two_backbones_is_opened_and_exported(place, plugin, monkeypatch):
    import keras

    monkeypatch.chdir(place)
    settings = {} if plugin == "probe" else {"epochs": 2}
    settings |= {"last": 2} if plugin == "partial" else {}
    run = tlapp.train(
        plugin=plugin, data="data", backbone="file:tiny.keras+file:other.keras", image_size=SIZE, run=f"runs/{plugin}", **settings
    )
    assert run.files.settings()["backbone"] == f"file:{place}/tiny.keras+file:{place}/other.keras"
    known = [keras.saving.load_model(place / f"{name}.keras").get_weights() for name in ("tiny", "other")]
    ours = run.model.get_weights()
    kept = [sum(any(np.array_equal(weight, own) for own in ours) for weight in weights) for weights in known]
    if plugin == "partial":  # the last stage of each learns
        assert all(2 < count < len(weights) for count, weights in zip(kept, known, strict=True))
    else:
        assert kept == [len(weights) for weights in known]
    monkeypatch.chdir(place.parent)
    report = tlapp.export(str(place / "runs" / plugin), format="tflite")
    assert report["passed"] and report["check"]


def test_what_does_not_go_together_is_refused(place):
    with pytest.raises(UserError, match=r"of 1 channels, and .* of 3 channels; join backbones of pictures"):
        load(f"file:{place}/tiny.keras+file:{place}/grey.keras")
    with pytest.raises(UserError, match="cannot share a file of weights"):
        load(f"file:{place}/tiny.keras+file:{place}/other.keras", weights="w.h5")
    with pytest.raises(UserError, match=r"nothing"):
        registry.backbone(f"file:{place}/tiny.keras+nothing:x")
