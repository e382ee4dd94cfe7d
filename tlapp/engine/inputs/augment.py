"""Basic augmentation of pictures: flip, crop and colour, from Keras's layers, before the cut and never in the deployed model."""

from __future__ import annotations

from typing import Any

from tlapp.contracts import Augment


def basic(views: int | None = None) -> Augment:
    """Random horizontal flip, crop of up to 20 % a side, brightness and contrast of up to 20 %."""
    return Augment(Basic(), views, "basic")


class Basic:
    """The layers, made on first use; each call's seed sets their state, so that equal seeds change a picture alike."""

    def __init__(self) -> None:
        self._layers: list[Any] = []

    def __call__(self, pictures: Any, seed: int) -> Any:
        import keras

        if not self._layers:
            layers = keras.layers
            self._layers = [
                layers.RandomFlip("horizontal", seed=0),
                layers.RandomZoom((-0.2, 0.0), None, fill_mode="reflect", seed=0),
                layers.RandomTranslation(0.1, 0.1, fill_mode="reflect", seed=0),
                layers.RandomBrightness(0.2, value_range=(0, 255), seed=0),
                layers.RandomContrast(0.2, value_range=(0, 255), seed=0),
            ]
        for number, layer in enumerate(self._layers):
            layer.generator.state.assign([seed % 2**31, number])
            pictures = layer(pictures, training=True)
        return keras.ops.clip(pictures, 0.0, 255.0)
