"""The networks of keras.applications, each with its preprocessing inside."""

from __future__ import annotations

import ast
import inspect
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from tlapp.backbones.networks import counted
from tlapp.contracts import BackboneProvider, Card, LoadedBackbone, UserError, build
from tlapp.home import expanded

log = logging.getLogger("tlapp")

Fetch = Callable[..., str]
"""(file name, URL, **options of `keras.utils.get_file`) -> the path of the weights file."""

SIZES = {
    **dict(zip((f"EfficientNetB{i}" for i in range(8)), (224, 240, 260, 300, 380, 456, 528, 600), strict=True)),
    **dict(zip((f"EfficientNetV2{i}" for i in ("B1", "B2", "B3", "S", "M", "L")), (240, 260, 300, 384, 480, 480), strict=True)),
    **dict.fromkeys(("InceptionV3", "InceptionResNetV2", "Xception"), 299),
    "NASNetLarge": 331,
}
"""Native sizes other than 224; a test asks the library for every network's."""


class KerasApplications(BackboneProvider):
    """Networks of keras.applications: ImageNet weights are downloaded once, or taken from a file."""

    def names(self) -> Iterable[str]:
        """Every network that the installed Keras has, as Keras spells it; read from its source, which takes no import."""
        return _listed() or tuple(_networks())

    def native_size(self, name: str) -> int | None:
        return SIZES.get(name, 224)

    def card(self, name: str) -> Card:
        about = counted(f"keras:{name}")
        here = bool(about.file) and (keras_folder() / about.file).is_file()
        return Card(about.params, self.native_size(name), "downloaded" if here else "download", here, build.IMAGENET)

    def load(self, name: str, *, image_size: int | None = None, weights: str | None = None) -> LoadedBackbone:
        """Build a backbone; see `BackboneProvider.load`."""
        networks = _networks()
        if name not in networks:
            raise build.unknown("keras", name, networks)
        size = image_size or SIZES.get(name, 224)
        with build.fresh_names():
            image = build.picture(size)
            base, source = _build(name, networks[name], size, weights)
            features = build.flat(base, _preprocess(image, sys.modules[networks[name].__module__]))
            licence = build.IMAGENET if weights is None else ""
            return build.assemble(f"keras:{name}", image, features, weights=source, licence=licence)


def _listed() -> tuple[str, ...]:
    """The networks that `_networks` finds, as the source of keras.applications names them; none where it is written otherwise."""
    spec = PathFinder.find_spec("keras")
    path = Path(spec.origin).parent / "applications" / "__init__.py" if spec and spec.origin else Path()
    if not path.is_file():
        return ()
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    imports = [each for each in statements if isinstance(each, ast.ImportFrom) and str(each.module).startswith("keras.src.")]
    return tuple(alias.asname or alias.name for each in imports for alias in each.names)


def keras_folder() -> Path:
    """Where Keras keeps what it downloads."""
    return expanded(os.environ.get("KERAS_HOME", "~/.keras")) / "models"


def _networks() -> dict[str, Callable[..., Any]]:
    """The functions of keras.applications that build a network."""
    import keras

    return {name: value for name, value in vars(keras.applications).items() if inspect.isfunction(value)}


def _build(name: str, network: Callable[..., Any], size: int, weights: str | None) -> tuple[Any, str]:
    """The network without its classifier, and where its weights are from.

    A file goes the same way as a download: EfficientNet is another function without its ImageNet weights.
    """
    sources: list[str] = []

    def fetch(file: str, url: str, **options: Any) -> str:
        sources.append(f"ImageNet, from {url}" if weights is None else Path(weights).name)
        return _download(name, file, url, options) if weights is None else str(Path(weights).expanduser())

    if weights not in (None, "none"):
        build.check_file(weights)
    try:
        with _weights_from(fetch), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on sizes that the classifier, which is left out, was not trained for
            kind = None if weights == "none" else "imagenet"
            base = network(include_top=False, weights=kind, input_shape=(size, size, 3), pooling="avg")
    except UserError:
        raise
    except Exception as error:  # Keras and h5py raise whatever they like for a file that does not fit
        if sources:
            raise build.bad_weights(weights or sources[0], error) from error
        raise build.bad_size(f"keras:{name}", size, error) from error
    return base, sources[0] if sources else "random"


@contextmanager
def _weights_from(fetch: Fetch) -> Iterator[None]:
    """Inside, keras.applications asks `fetch` for its weights instead of downloading them."""
    from keras.src.utils import file_utils

    original = file_utils.get_file
    file_utils.get_file = fetch
    try:
        yield
    finally:
        file_utils.get_file = original


def _download(name: str, file: str, url: str, options: dict[str, Any]) -> str:
    """The path of a weights file in Keras' cache, fetched if it is not there.

    Raises:
        UserError: it cannot be had.
    """
    import keras

    folder = keras_folder()
    if not (folder / file).is_file():
        log.info("keras:%s: downloading its ImageNet weights from %s", name, url)
    try:
        with redirect_stdout(sys.stderr):  # Keras draws its progress on standard output, which is for results
            return keras.utils.get_file(file, url, **options)
    except Exception as error:  # urllib, sockets and Keras' own bare Exception
        raise UserError(
            f"its ImageNet weights could not be downloaded; download {url} yourself and set "
            f"option backbone_weights=FILE, or save it in {folder} as {file}",
            f"keras:{name}",
            "backbone",
        ) from error


def _preprocess(image: Any, module: Any) -> Any:
    """What `module.preprocess_input` does to raw RGB, as layers: swap red and blue or not, then scale and shift each channel."""
    import keras
    import numpy as np

    probe = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype("float32")[:, None, None]
    black, *pure = module.preprocess_input(probe).reshape(4, 3)
    change = (np.array(pure) - black) / 255
    if not np.allclose(change, np.diag(np.diag(change))):
        image, change = keras.ops.flip(image, axis=-1), change[::-1]
    if not np.allclose(change, np.diag(np.diag(change))):
        raise NotImplementedError(f"{module.__name__} mixes channels in a way that tlapp does not know")
    scale, offset = np.diag(change), black
    if np.allclose(scale, 1) and np.allclose(offset, 0):
        return image
    return keras.layers.Rescaling(scale.tolist(), offset=offset.tolist(), name="rescale")(image)
