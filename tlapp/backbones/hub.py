"""Networks in TensorFlow Hub's format: a SavedModel in a folder, in the cache of tensorflow_hub, or behind a URL."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tlapp.contracts import BackboneProvider, LoadedBackbone, UserError, build
from tlapp.untrusted_files import refuse, saved_model_fault

log = logging.getLogger("tlapp")


class Hub(BackboneProvider):
    """SavedModels from TensorFlow Hub or a folder: one opaque stage that trains or freezes as a whole."""

    def names(self) -> Iterable[str]:
        """Nothing: any handle or folder will do."""
        return ()

    def absolute(self, name: str) -> str:
        return os.path.abspath(name) if os.path.isdir(name) else name

    def custom_layers(self) -> Mapping[str, type]:
        """The layer that runs a SavedModel inside Keras."""
        from tlapp.backbones.hub_layer import HubModule

        return {"tlapp>HubModule": HubModule, "HubModule": HubModule}

    def load(self, name: str, *, image_size: int | None = None, weights: str | None = None) -> LoadedBackbone:
        """Build a backbone; see `BackboneProvider.load`. Pictures are scaled to 0-1, as Hub's image networks expect."""
        if weights is not None:
            raise UserError(f"hub:{name} has its own weights; leave the option out", weights, option="backbone_weights")
        folder = _folder(name)
        import keras

        from tlapp.backbones.hub_layer import HubModule, specify

        saved = _read(name, folder, self.trust)
        size = _size(name, saved.module, image_size)
        features = _features(name, saved.module, size)
        with build.fresh_names():
            image = build.picture(size)
            scaled = keras.layers.Rescaling(1 / 255, name="rescale")(image)
            module = HubModule(features, specify(saved.module), saved, name="hub")
            return build.assemble(f"hub:{name}", image, module(scaled), weights=f"those of {name}")


def _folder(name: str) -> str:
    """Where the SavedModel of a handle lies, fetched if tensorflow_hub has to.

    Raises:
        UserError: it cannot be found or downloaded, or is in the old format.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that pkg_resources, which it imports, is deprecated
        import tensorflow_hub

    if "://" in name:
        log.info("hub:%s: asking tensorflow_hub for it; TFHUB_CACHE_DIR is the folder where it is kept", name)
    try:
        folder = tensorflow_hub.resolve(name)
    except Exception as error:  # the resolvers raise whatever urllib, tarfile and the file system do
        raise UserError(
            f"cannot be read or downloaded ({_line(error)}); give the folder of a SavedModel, "
            "or a URL that this machine reaches or that TFHUB_CACHE_DIR holds",
            f"hub:{name}",
            option="backbone",
        ) from error
    if (Path(folder) / "tfhub_module.pb").exists():
        raise UserError(
            f"it is in the format of TensorFlow 1, whose variables cannot be trained; {_WANTED}", f"hub:{name}", option="backbone"
        )
    return folder


_WANTED = "a SavedModel of TensorFlow 2 that can be called is needed, such as `model.export(FOLDER)` of Keras writes"


def _read(name: str, folder: str, trust: bool) -> Any:
    """The loaded SavedModel.

    Raises:
        UserError: there is none, it is dangerous and there is no trust, or it cannot be called.
    """
    from tlapp.backbones import hub_layer

    copy = hub_layer.copied(folder)
    if not trust:
        refuse(saved_model_fault(Path(copy.name)), f"hub:{name}", "backbone")
    try:
        saved = hub_layer.opened(copy)
    except Exception as error:  # TensorFlow raises OSError, ValueError, and its own
        raise UserError(
            f"there is no SavedModel to read in {folder}: {_line(error)}", f"hub:{name}", option="backbone"
        ) from error
    if not hub_layer.traces(saved.module):
        raise UserError(f"it cannot be called: it only has signatures; {_WANTED}", f"hub:{name}", option="backbone")
    return saved


def _size(name: str, module: Any, image_size: int | None) -> int:
    """The size of pictures to give to a module.

    Raises:
        UserError: it takes no pictures, or another size.
    """
    from tlapp.backbones import hub_layer

    fixed = _fixed_size(name, [*module.signatures.values(), *hub_layer.traces(module)])
    if image_size and fixed and image_size != fixed:
        raise UserError(f"hub:{name} takes only pictures of {fixed} pixels a side", image_size, option="image_size")
    return image_size or fixed or 224


def _features(name: str, module: Any, size: int) -> tuple[int, ...]:
    """The shape of a module's features, seen in those that it gives for a picture.

    Raises:
        UserError: it does not compute any.
    """
    import tensorflow as tf

    from tlapp.backbones import hub_layer

    try:
        return tuple(hub_layer.only(hub_layer.entry(module)(tf.zeros((1, size, size, 3)))).shape[1:])
    except Exception as error:  # whatever the module's own graph raises for such a picture
        raise UserError(
            f"cannot compute features of a {size}x{size} picture: {_line(error)}", f"hub:{name}", option="backbone"
        ) from error


def _fixed_size(name: str, functions: Iterable[Any]) -> int | None:
    """The height that the functions of a SavedModel insist on, if any."""
    import tensorflow as tf

    shapes = [
        each.shape
        for function in functions
        for each in tf.nest.flatten(function.structured_input_signature)
        if isinstance(each, tf.TensorSpec) and each.shape.rank == 4
    ]
    if not shapes:
        raise UserError("its input is not pictures (a batch of height x width x 3)", f"hub:{name}", option="backbone")
    return next((shape[1] for shape in shapes if shape[1]), None)


def _line(error: Exception) -> str:
    """The first line of an error."""
    return str(error).strip().partition("\n")[0]
