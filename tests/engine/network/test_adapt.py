"""Backbones for grey pictures and for pictures with alpha are adapted to RGB in one place; others are refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tlapp.contracts import Backbone, ImageInput, LoadedBackbone, PluginError, Stage, UserError
from tlapp.engine.inputs.images import Images

SIZE = 8


def backbone(channels, stated=None):
    import keras

    image = keras.Input((SIZE, SIZE, channels), name="picture")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    facts = Backbone("odd:one", ImageInput(SIZE, stated or channels), (Stage("all", 9 * channels * 4 + 4),))
    return LoadedBackbone(facts, keras.Model(image, x), {"conv": "all", "pool": "all"})


@pytest.mark.parametrize("channels, mode", [(1, "L"), (4, "RGBA")])
def test_a_fixed_front_makes_the_channels(channels, mode, tensorflow, tmp_path):
    import keras

    from tlapp.engine.network.adapt import adapted

    odd = backbone(channels)
    fit = adapted(odd, Images(SIZE))
    pixels = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    converted = np.stack([np.asarray(Image.fromarray(each).convert(mode)).reshape(SIZE, SIZE, channels) for each in pixels])
    expected, found = odd.graph(converted.astype("float32")), fit.graph(pixels.astype("float32"))
    np.testing.assert_allclose(found, expected, atol=1.0 if channels == 1 else 1e-4)
    assert fit.facts.input == ImageInput(SIZE) and fit.facts.stages == odd.facts.stages
    fit.graph.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(pixels.astype("float32")), found)


def test_what_cannot_be_adapted_is_refused(tensorflow):
    from tlapp.engine.network.adapt import adapted

    assert adapted(rgb := backbone(3), Images(SIZE)) is rgb
    with pytest.raises(UserError, match=r"odd:one: takes pictures of 6 channels; only 1, 3 and 4"):
        adapted(backbone(6), Images(SIZE))
    with pytest.raises(PluginError, match=r"the inputs of its graph must be image \(8, 8, 3\)"):
        adapted(backbone(5, stated=3), Images(SIZE))


@pytest.mark.parametrize("channels", [1, 4])
def test_a_saved_model_of_other_channels_trains(channels, shapes, tmp_path, tensorflow):
    from tlapp_plugins.partial import Partial

    from tlapp.backbones.file import File
    from tlapp.engine.runs.saved import SavedRun
    from tlapp.testing import tiny_run

    backbone(channels).graph.save(tmp_path / "odd.keras")

    class OneFile(File):
        def names(self):
            return (str(tmp_path / "odd.keras"),)

    run = tiny_run(Partial(last=1, warmup=1, epochs=2), shapes, tmp_path / "run", provider=OneFile(), image_size=32)
    assert [tuple(tensor.shape) for tensor in run.graph.inputs] == [(None, 32, 32, 3)]
    file = run.dataset.streams["test"].files[0]
    assert SavedRun(tmp_path / "run").predict([file])[0].label in run.dataset.classes
