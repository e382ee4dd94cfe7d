"""The networks of KerasCV by name: the library keeps their configurations online; a test holds these to its parameter counts.

Left out are its detectors, its networks for video, and MixTransformer, which it saves but cannot read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Network(NamedTuple):
    """A base class in `keras_cv.models`, what it is built with, its native size and the library's name for it."""

    family: str
    config: Mapping[str, Any]
    size: int = 224
    preset: str = ""


B_SIZES = (224, 240, 260, 300, 380, 456, 528, 600)
B_WIDTHS = (1.0, 1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0)
B_DEPTHS = (1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1)
LITE_SIZES = (224, 240, 260, 280, 300)

MBCONV = {
    "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
    "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
    "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
    "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
}
SQUEEZE = {"stackwise_squeeze_and_excite_ratios": [0.25] * 7}


def _lite() -> dict[str, Network]:
    scaled = zip(LITE_SIZES, B_WIDTHS, B_DEPTHS, strict=False)
    return {
        f"efficientnet-lite{i}": Network(
            "EfficientNetLiteBackbone",
            {**MBCONV, "width_coefficient": width, "depth_coefficient": depth},
            size,
            f"efficientnetlite_b{i}",
        )
        for i, (size, width, depth) in enumerate(scaled)
    }


def _efficientnet_v1() -> dict[str, Network]:
    scaled = zip(B_SIZES, B_WIDTHS, B_DEPTHS, strict=True)
    return {
        f"efficientnetv1-b{i}": Network(
            "EfficientNetV1Backbone",
            {**MBCONV, **SQUEEZE, "width_coefficient": width, "depth_coefficient": depth},
            size,
            f"efficientnetv1_b{i}",
        )
        for i, (size, width, depth) in enumerate(scaled)
    }


def _v2(repeats: list[int], filters: list[int], strides: list[int], width: float = 1.0, depth: float = 1.0) -> dict[str, Any]:
    """A configuration of EfficientNetV2: three stacks of fused blocks, then blocks with squeeze and excitation."""
    rest = len(repeats) - 3
    six = rest - 1
    return {
        "stackwise_kernel_sizes": [3] * len(repeats),
        "stackwise_num_repeats": repeats,
        "stackwise_input_filters": filters[:-1],
        "stackwise_output_filters": filters[1:],
        "stackwise_expansion_ratios": [1, 4, 4, 4, *[6] * six],
        "stackwise_squeeze_and_excite_ratios": [0, 0, 0, *[0.25] * rest],
        "stackwise_strides": strides,
        "stackwise_conv_types": ["fused"] * 3 + ["unfused"] * rest,
        "width_coefficient": width,
        "depth_coefficient": depth,
    }


def _efficientnet_v2() -> dict[str, Network]:
    six, seven = [1, 2, 2, 2, 1, 2], [1, 2, 2, 2, 1, 2, 1]
    large = {
        "s": (_v2([2, 4, 4, 6, 9, 15], [24, 24, 48, 64, 128, 160, 256], six), 384),
        "m": (_v2([3, 5, 5, 7, 14, 18, 5], [24, 24, 48, 80, 160, 176, 304, 512], seven), 480),
        "l": (_v2([4, 7, 7, 10, 19, 25, 7], [32, 32, 64, 96, 192, 224, 384, 640], seven), 480),
    }
    base = {
        f"b{i}": (_v2([1, 2, 2, 3, 5, 8], [32, 16, 32, 48, 96, 112, 192], six, B_WIDTHS[i], B_DEPTHS[i]), B_SIZES[i])
        for i in range(4)
    }
    return {
        f"efficientnetv2-{key}": Network("EfficientNetV2Backbone", config, size, f"efficientnetv2_{key}")
        for key, (config, size) in {**base, **large}.items()
    }


RESNET_BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}


def _resnet(family: str, suffix: str) -> dict[str, Network]:
    return {
        f"resnet{layers}{suffix}": Network(
            family,
            {
                "stackwise_filters": [64, 128, 256, 512],
                "stackwise_blocks": blocks,
                "stackwise_strides": [1, 2, 2, 2],
                "block_type": "basic_block" if layers < 50 else "block",
            },
            preset=f"resnet{layers}{suffix.replace('-', '_')}",
        )
        for layers, blocks in RESNET_BLOCKS.items()
    }


DENSENET_REPEATS = {121: [6, 12, 24, 16], 169: [6, 12, 32, 32], 201: [6, 12, 48, 32]}

DARKNETS = {
    "tiny": ([48, 96, 192, 384], [1, 3, 3, 1]),
    "s": ([64, 128, 256, 512], [1, 3, 3, 1]),
    "m": ([96, 192, 384, 768], [2, 6, 6, 2]),
    "l": ([128, 256, 512, 1024], [3, 9, 9, 3]),
    "xl": ([170, 340, 680, 1360], [4, 12, 12, 4]),
}

MOBILENETS: dict[str, dict[str, Any]] = {
    "small": {
        "stackwise_expansion": [1, 72 / 16, 88 / 24, 4, 6, 6, 3, 3, 6, 6, 6],
        "stackwise_filters": [16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96],
        "stackwise_kernel_size": [3] * 3 + [5] * 8,
        "stackwise_stride": [2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1],
        "stackwise_se_ratio": [0.25, None, None, *[0.25] * 8],
        "stackwise_activation": ["relu"] * 3 + ["hard_swish"] * 8,
    },
    "large": {
        "stackwise_expansion": [1, 4, 3, 3, 3, 3, 6, 2.5, 2.3, 2.3, 6, 6, 6, 6, 6],
        "stackwise_filters": [16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160],
        "stackwise_kernel_size": [3] * 3 + [5] * 3 + [3] * 6 + [5] * 3,
        "stackwise_stride": [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1],
        "stackwise_se_ratio": [None] * 3 + [0.25] * 3 + [None] * 4 + [0.25] * 5,
        "stackwise_activation": ["relu"] * 6 + ["hard_swish"] * 9,
    },
}


def _others() -> dict[str, Network]:
    networks = {
        f"densenet{layers}": Network("DenseNetBackbone", {"stackwise_num_repeats": repeats}, preset=f"densenet{layers}")
        for layers, repeats in DENSENET_REPEATS.items()
    }
    for key, (channels, depth) in DARKNETS.items():
        shape = {"stackwise_channels": channels, "stackwise_depth": depth}
        networks[f"csp-darknet-{key}"] = Network("CSPDarkNetBackbone", shape, preset=f"csp_darknet_{key}")
    for key, config in MOBILENETS.items():
        networks[f"mobilenet-v3-{key}"] = Network("MobileNetV3Backbone", config, preset=f"mobilenet_v3_{key}")
    return {**networks, "vgg16": Network("VGG16Backbone", {"include_top": False})}


NETWORKS: Mapping[str, Network] = {
    **_lite(),
    **_efficientnet_v1(),
    **_efficientnet_v2(),
    **_resnet("ResNetBackbone", ""),
    **_resnet("ResNetV2Backbone", "-v2"),
    **_others(),
}
