"""Backbones of KerasCV: EfficientNet-Lite with its ImageNet weights, the others from a file or at random."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from tlapp.backbones import efficientnet_lite, torch_file
from tlapp.backbones.keras_cv_facts import LITE, lite_facts
from tlapp.backbones.keras_cv_networks import NETWORKS, Network
from tlapp.backbones.networks import counted
from tlapp.contracts import Backbone, BackboneProvider, Card, LoadedBackbone, UserError, build
from tlapp.contracts.graph import Step


class KerasCV(BackboneProvider):
    """Networks of KerasCV, built from their configurations: nothing is fetched."""

    def names(self) -> Iterable[str]:
        """Every network, EfficientNet-Lite first."""
        return tuple(NETWORKS)

    def native_size(self, name: str) -> int | None:
        return NETWORKS[name].size if name in NETWORKS else None

    def facts(self, name: str, image_size: int | None = None) -> Backbone | None:
        return lite_facts(f"keras-cv:{name}", name, image_size or NETWORKS[name].size) if name in LITE else None

    def card(self, name: str) -> Card:
        facts, size = self.facts(name), self.native_size(name)
        params = sum(stage.params for stage in facts.stages) if facts else counted(f"keras-cv:{name}").params
        release = efficientnet_lite.RELEASES.get(name)
        if release is None:
            return Card(params, size, "a file of yours")
        here = efficientnet_lite.is_installed(name)
        words = "installed" if here else f"pip: {release.extra}"
        return Card(params, size, words, here, efficientnet_lite.LICENCE)

    def load(self, name: str, *, image_size: int | None = None, weights: str | None = None) -> LoadedBackbone:
        """Build a backbone; see `BackboneProvider.load`."""
        if name not in NETWORKS:
            raise build.unknown("keras-cv", name, NETWORKS)
        network = NETWORKS[name]
        lite = network.family == "EfficientNetLiteBackbone"
        with build.fresh_names():
            image = build.picture(image_size or network.size)
            base = _build(name, network, image.shape[1], rescaling=not lite)
            source, licence = _weigh(base, name, weights)
            features = build.flat(base, efficientnet_lite.rescale(image) if lite else image, _leaf)
            return build.assemble(f"keras-cv:{name}", image, features, weights=source, licence=licence)


def _build(name: str, network: Network, size: int, *, rescaling: bool) -> Any:
    """The network without its top, from its base class: the aliases go online even for random weights."""
    family = getattr(_keras_cv().models, network.family)
    try:
        return family(**network.config, include_rescaling=rescaling, input_shape=(size, size, 3))
    except ValueError as error:
        raise build.bad_size(f"keras-cv:{name}", size, error) from error


def _leaf(step: Step, values: dict[int, Any]) -> list[Any]:
    """Run a step; what KerasCV can save but not read again becomes built-in layers."""
    import keras

    kind = type(step.operation).__name__
    if kind == "Lambda":  # only CSPDarkNet has any
        return [keras.layers.Activation("silu", name=step.operation.name)(values[id(step.inputs[0])])]
    if kind == "SqueezeAndExcite2D":
        return [_squeeze(step.operation, values[id(step.inputs[0])])]
    return step.call(values)


def _squeeze(block: Any, x: Any) -> Any:
    """Squeeze and excitation, as MobileNetV3 has it, in built-in layers with the weights of `block`."""
    import keras

    scale = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{block.name}_pool")(x)
    for conv, part, activation in ((block.squeeze_conv, "squeeze", "relu"), (block.excite_conv, "excite", "hard_sigmoid")):
        layer = keras.layers.Conv2D(conv.filters, 1, activation=activation, name=f"{block.name}_{part}")
        scale = layer(scale)
        layer.set_weights(conv.get_weights())
    return keras.layers.Multiply(name=f"{block.name}_scale")([scale, x])


def _weigh(base: Any, name: str, weights: str | None) -> tuple[str, str]:
    """Give a network its weights; where they are from, and their licence."""
    if weights == "none":
        return "random", ""
    if weights is None and name in efficientnet_lite.RELEASES:
        efficientnet_lite.fill(base, efficientnet_lite.read(name))
        package = efficientnet_lite.RELEASES[name].distribution
        return f"ImageNet, from {package} {metadata.version(package)}", efficientnet_lite.LICENCE
    if weights is None:
        raise UserError(_source_of_weights(name), f"keras-cv:{name}", "backbone")
    if not weights.endswith((".pth", ".pt")):
        return build.read_weights(base, weights), ""
    try:
        efficientnet_lite.fill(base, torch_file.read(Path(weights).expanduser()))
    except ValueError as error:
        raise UserError(f"not the weights of keras-cv:{name}: {error}", weights, option="backbone_weights") from error
    return Path(weights).name, ""


def _source_of_weights(name: str) -> str:
    """The sentence that says which weights to get, and from where."""
    network = NETWORKS[name]
    presets = getattr(_keras_cv().models, network.family).presets
    handle = presets.get(f"{network.preset}_imagenet", {}).get("kaggle_handle", "").removeprefix("kaggle://")
    file = f"model.weights.h5 of kaggle.com/models/{handle}" if handle else "a .weights.h5 file saved from it"
    return (
        f"its weights cannot be installed with pip; download {file} and set option backbone_weights=FILE, "
        "or set option backbone_weights=none to start from random weights"
    )


def _keras_cv() -> Any:
    """The package keras_cv, imported without TensorFlow Datasets, which only its loader of Pascal VOC uses.

    While that is imported, every `import` of the process is replaced (etils.epy.lazy_imports), those of the thread that reads
    the data meanwhile too, which then fail.
    """
    name = "tensorflow_datasets"
    if name in sys.modules or "keras_cv" in sys.modules:
        return importlib.import_module("keras_cv")
    sys.modules[name] = _Later(name)
    try:
        return importlib.import_module("keras_cv")
    finally:
        del sys.modules[name]


class _Later(ModuleType):
    """A module that is imported when something of it is first asked for."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # what looks through all modules asks for __file__ and the like
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self.__name__), attribute)
