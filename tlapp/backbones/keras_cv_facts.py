"""The stages of EfficientNet-Lite computed from its configuration, so that a plan can be checked before anything is loaded.

Widths and depths are scaled as in Tan & Le 2019 (https://arxiv.org/abs/1905.11946), except those of the first and last block and
of the stem and top, which Lite keeps. A test compares all of this with the networks themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tlapp.backbones.keras_cv_networks import NETWORKS
from tlapp.contracts import Backbone, ImageInput, Stage

LITE = frozenset(name for name, network in NETWORKS.items() if network.family == "EfficientNetLiteBackbone")
STEM, TOP = 32, 1280
"""Channels, whatever the width."""


class Layer(NamedTuple):
    """A convolution and the batch norm behind it: their names, and the parameters of both."""

    names: tuple[str, str]
    params: int


def lite_facts(identity: str, name: str, size: int) -> Backbone:
    """The facts of an EfficientNet-Lite of `size` pixels a side."""
    config = NETWORKS[name].config
    side, channels = _halved(size), STEM
    layers = [_layer("stem_conv", "stem_bn", 27, STEM)]
    stages = []
    count = len(config["stackwise_num_repeats"])
    for number in range(count):
        width = _width(config["stackwise_output_filters"][number], config["width_coefficient"])
        side = _halved(side) if config["stackwise_strides"][number] == 2 else side
        layers += _blocks(config, number, channels, width, last=number in (0, count - 1))
        channels = width
        stages.append(_stage("stem" if number == 0 else f"stage{number + 1}", layers, (side, side, width)))
        layers = []
    stages.append(_stage("top", [_layer("top_conv", "top_bn", channels, TOP)], (TOP,)))
    return Backbone(identity, ImageInput(size), tuple(stages))


def _blocks(config: Mapping[str, Any], number: int, channels: int, width: int, last: bool) -> Iterator[Layer]:
    """The layers of a stage's inverted bottlenecks, from `channels` to `width`; the first and last stage are never deepened."""
    repeats = config["stackwise_num_repeats"][number]
    for repeat in range(repeats if last else math.ceil(repeats * config["depth_coefficient"])):
        name = f"block{number + 1}{chr(ord('a') + repeat)}"
        inside = channels * config["stackwise_expansion_ratios"][number]
        if inside != channels:
            yield _layer(f"{name}_expand_conv", f"{name}_expand_bn", channels, inside)
        yield _layer(f"{name}_dwconv", f"{name}_bn", config["stackwise_kernel_sizes"][number] ** 2, inside)
        yield _layer(f"{name}_project_conv", f"{name}_project_bn", inside, width)
        channels = width


def _layer(convolution: str, norm: str, inputs: int, outputs: int) -> Layer:
    """A convolution of `inputs` numbers to each of `outputs` channels, without a bias; its batch norm has four a channel."""
    return Layer((convolution, norm), inputs * outputs + 4 * outputs)


def _stage(name: str, layers: list[Layer], shape: tuple[int, ...]) -> Stage:
    return Stage(name, sum(layer.params for layer in layers), shape, tuple(each for layer in layers for each in layer.names))


def _width(channels: int, coefficient: float) -> int:
    """Channels scaled and rounded to a multiple of 8, by no more than a tenth down."""
    scaled = channels * coefficient
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _halved(side: int) -> int:
    return -(-side // 2)
