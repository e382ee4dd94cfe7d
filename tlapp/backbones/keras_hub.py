"""Backbones of KerasHub for pictures and texts: a preset by name, which is downloaded, or a folder that holds one."""

from __future__ import annotations

import ast
import json
import logging
import os
from collections.abc import Iterable, Mapping
from functools import cache, partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from tlapp.backbones import keras_hub_layers, keras_hub_texts
from tlapp.backbones.keras_hub_texts import Preset
from tlapp.contracts import Backbone, BackboneProvider, Card, LoadedBackbone, UserError, build
from tlapp.home import expanded

log = logging.getLogger("tlapp")

CONVERTER = "image_converter.json"
FAMILIES = (
    "cspnet", "deit", "densenet", "dinov2", "dinov3", "efficientnet", "hgnetv2", "mit", "mobilenet", "resnet", "siglip",
    "swin_transformer", "vgg", "vit", "xception", "bert", "distil_bert", "electra",
)  # fmt: skip
"""Whose presets are listed; any other preset for pictures can be named too."""
OF_ANOTHER_KIND = ("multilingual_e5_small",)
"""Presets of these families that are refused: their tokenizer is another family's."""
FIRST_TOKEN = ("ViTBackbone", "DeiTBackbone", "DINOV2Backbone", "DINOV3Backbone")
"""Networks whose first token stands for the picture, as their classifiers read it; of others the mean of all."""


class KerasHub(BackboneProvider):
    """Networks of keras-hub (extra `hub`): of pictures with their preprocessing inside, of texts as `bert:` builds them."""

    def names(self) -> Iterable[str]:
        """The presets of these families, as the source of keras-hub names them, which takes no import."""
        return tuple(name for name in _presets() if name not in OF_ANOTHER_KIND)

    def native_size(self, name: str) -> int | None:
        """That of a folder's converter; of a preset by name only loading tells."""
        try:
            return _size(json.loads((expanded(name) / CONVERTER).read_text(encoding="utf-8"))["config"])
        except (OSError, ValueError, KeyError):
            return None

    def facts(self, name: str, image_size: int | None = None) -> Backbone | None:
        """Those of a folder for texts; of a preset by name only loading tells."""
        identity = f"keras-hub:{name}"
        preset = keras_hub_texts.read(partial(_file, name), identity) if expanded(name).is_dir() else None
        return preset and preset.facts(identity)

    def card(self, name: str) -> Card:
        here = expanded(name).is_dir()
        return Card(_presets().get(name), self.native_size(name), "a folder of yours" if here else "download", here)

    def absolute(self, name: str) -> str:
        return os.path.abspath(expanded(name)) if expanded(name).is_dir() else name

    def custom_layers(self) -> Mapping[str, type]:
        """The layers of keras-hub that Keras knows once it is imported."""
        import keras

        _keras_hub("keras-hub:...")
        known = [kind for kind in keras.saving.get_custom_objects().values() if isinstance(kind, type)]
        return {
            kind.__name__: kind for kind in known if kind.__module__.startswith("keras_hub.") and issubclass(kind, keras.Layer)
        }

    def load(self, name: str, *, image_size: int | None = None, weights: str | None = None) -> LoadedBackbone:
        """Build a backbone; see `BackboneProvider.load`."""
        identity = f"keras-hub:{name}"
        if weights not in (None, "none"):
            raise UserError(f"{identity} has its own weights; leave the option out", weights, option="backbone_weights")
        hub = _keras_hub(identity)
        if not expanded(name).is_dir():
            log.info("%s: downloading it, unless this machine has it already", identity)
        if preset := keras_hub_texts.read(partial(_file, name), identity):
            return self._load_texts(preset, name, image_size, weights)
        converter = _converter(hub, name)
        size = image_size or _size(converter.get_config())
        shape = {"image_shape": (size, size, 3)} if size else {}
        with build.fresh_names():
            base = _network(hub, name, weights is None, shape)
            if len(base.inputs) != 1 or len(base.inputs[0].shape) != 4 or base.inputs[0].shape[-1] != 3:
                raise UserError("it takes neither pictures nor texts", identity, option="backbone")
            image = build.picture(size or base.inputs[0].shape[1] or 224)
            output = build.flat(keras_hub_layers.taken_apart(_one(base)), _scaled(image, converter.get_config()))
            if len(output.shape) == 3 and _first_token(base):
                output = output[:, 0]
            source = "random" if weights else f"{Path(name).name}, of keras-hub"
            loaded = build.assemble(identity, image, output, weights=source)
            keras_hub_layers.check_opens(loaded.graph, identity)
            return loaded

    def _load_texts(self, preset: Preset, name: str, image_size: int | None, weights: str | None) -> LoadedBackbone:
        identity = f"keras-hub:{name}"
        if image_size is not None:
            words = f"{identity} takes texts, which have no size in pixels; leave the option out"
            raise UserError(words, image_size, option="image_size")
        with build.fresh_names():
            network = None if weights else _loaded(name, _keras_hub(identity).models.Backbone.from_preset, dtype="float32")
        return keras_hub_texts.load(preset, network, identity)


@cache
def _presets() -> dict[str, int | None]:
    """Name of a preset -> its parameters, None where they are not told; of the installed keras-hub, none without it."""
    spec = PathFinder.find_spec("keras_hub")
    folder = Path(spec.origin).parent / "src" / "models" if spec and spec.origin else Path()
    found: dict[str, int | None] = {}
    for file in (folder / family / f"{family}_presets.py" for family in FAMILIES):
        body = ast.parse(file.read_text("utf-8")).body if file.is_file() else []
        for table in (each.value for each in body if isinstance(each, ast.Assign) and isinstance(each.value, ast.Dict)):
            for key, value in zip(table.keys, table.values, strict=True):
                try:
                    found[ast.literal_eval(key)] = ast.literal_eval(value)["metadata"].get("params")  # type: ignore[arg-type]
                except (ValueError, KeyError, TypeError):  # it is written otherwise
                    continue
    return found


def _keras_hub(identity: str) -> Any:
    """The package, its layers mended.

    Raises:
        UserError: it is not installed.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise UserError("needs keras-hub: pip install 'tlapp[hub]'", identity, option="backbone") from error
    import keras

    keras_hub_layers.mend(keras.Layer)
    return keras_hub


def _converter(hub: Any, name: str) -> Any:
    """What makes a picture ready for the network.

    Raises:
        UserError: there is no preset of that name, or none that says how pictures are made ready.
    """
    folder = expanded(name)
    if folder.is_dir() and not (folder / CONVERTER).is_file():
        words = f"the folder has no {CONVERTER}, so that nothing says how pictures are scaled; save one with "
        raise UserError(f"{words}preprocessor.save_to_preset(FOLDER)", f"keras-hub:{name}", option="backbone")
    return _loaded(name, hub.layers.ImageConverter.from_preset)


def _network(hub: Any, name: str, load_weights: bool, shape: Mapping[str, Any]) -> Any:
    """The network that reads pictures; of one that reads texts too, that part."""

    def load(place: str) -> Any:
        base = hub.models.Backbone.from_preset(place, load_weights=load_weights, **shape)
        return getattr(base, "vision_encoder", base)

    return _loaded(name, load)


def _file(name: str, file: str) -> Path:
    """A file of a preset, downloaded where it is not here.

    Raises:
        FileNotFoundError: the preset has none of that name. UserError: there is no such preset, or it cannot be had.
    """
    folder = expanded(name)
    if folder.is_dir():
        if (folder / file).is_file():
            return folder / file
        raise FileNotFoundError(file)
    try:
        from keras_hub.src.utils.preset_utils import get_file  # what from_preset asks; nothing public tells a preset's kind

        return Path(get_file(name, file))
    except FileNotFoundError:
        raise
    except Exception as error:  # as in _loaded
        raise _not_loaded(name, error) from error


def _loaded(name: str, load: Any, **options: Any) -> Any:
    """What keras-hub makes of a preset.

    Raises:
        UserError: it makes nothing of it.
    """
    folder = expanded(name)
    try:
        return load(str(folder) if folder.is_dir() else name, **options)
    except Exception as error:  # keras-hub, kagglehub and Keras raise whatever they like
        raise _not_loaded(name, error) from error


def _not_loaded(name: str, error: Exception) -> UserError:
    reason = str(error).strip().partition("\n")[0]
    words = "give a preset's name, or a folder that save_to_preset wrote, and an image size that a network for pictures takes"
    return UserError(f"keras-hub cannot load it: {reason}; {words}", f"keras-hub:{name}", option="backbone")


def _size(config: Mapping[str, Any]) -> int | None:
    size = config.get("image_size")
    return int(size[0]) if size else None


def _scaled(image: Any, config: Mapping[str, Any]) -> Any:
    """Raw pictures as the network was trained on them: times `scale`, plus `offset`, of all channels or of each."""
    import keras

    scale, offset = (default if config.get(key) is None else config[key] for key, default in (("scale", 1.0), ("offset", 0.0)))
    return keras.layers.Rescaling(scale, offset, name="rescale")(image)


def _one(base: Any) -> Any:
    """The network with one output: of several the last, as each is deeper than the one before."""
    import keras

    outputs = keras.tree.flatten(base.output)
    return base if len(outputs) == 1 else keras.Model(base.inputs[0], outputs[-1])


def _first_token(base: Any) -> bool:
    return type(base).__name__ in FIRST_TOKEN and getattr(base, "use_class_token", True)
