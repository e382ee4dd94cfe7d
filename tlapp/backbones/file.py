"""A backbone from a .keras file: any classifier or feature extractor that Keras saved, without its classification layer.

Of pictures, or of texts where it lies in the folder of a run on texts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tlapp.backbones import bert_network
from tlapp.contracts import Backbone, BackboneProvider, LoadedBackbone, TextInput, UserError, build
from tlapp.contracts.anatomy import anatomy
from tlapp.contracts.graph import Step, steps
from tlapp.untrusted_files import keras_fault, refuse

INPUT = "input.json"
"""The file in the folder of a run that says how its texts are read."""
PROBABILITIES = ("linear", "softmax", "sigmoid", "log_softmax", "log_sigmoid")
"""Activations that end a classifier; after any other, a dense layer makes features."""

AUGMENTING = ("Rand", "AugMix", "MixUp", "CutMix")
"""How the class names of Keras' augmenting layers begin."""

PASSING = ("Dropout", "Identity", "ActivityRegularization")


class File(BackboneProvider):
    """A model that Keras saved as .keras: its classification layer and augmentation are cut off, its preprocessing stays."""

    def names(self) -> Iterable[str]:
        """Nothing: any path will do."""
        return ()

    def absolute(self, name: str) -> str:
        return os.path.abspath(_path(name))

    def load(self, name: str, *, image_size: int | None = None, weights: str | None = None) -> LoadedBackbone:
        """Build a backbone; see `BackboneProvider.load`. The model's input is taken to be raw, 0 to 255: grey, RGB or RGBA."""
        if weights is not None:
            raise UserError(f"file:{name} has its own weights; leave the option out", weights, option="backbone_weights")
        import keras

        model = _read(name, self.trust)
        if stated := _texts(name):
            return _of_texts(name, model, stated, image_size)
        _check_pictures(name, model)
        _, height, _, channels = model.inputs[0].shape
        image = build.picture(image_size or height or 224, channels)
        size = image.shape[1]
        try:
            whole = keras.Model(image, build.flat(model, image, _leaf))
            features = _features(whole)
            return build.assemble(f"file:{name}", image, features, weights=_path(name).name)
        except ValueError as error:
            raise build.bad_size(f"file:{name}", size, error) from error


def _path(name: str) -> Path:
    """The file that is meant: by its name, or by that of the folder of a run, which holds one."""
    path = Path(name).expanduser()
    inside = sorted(path.glob("*.keras")) if path.is_dir() else []
    return inside[0] if len(inside) == 1 else path


def _read(name: str, trust: bool) -> Any:
    """The saved model, all of it trainable.

    Raises:
        UserError: no such file, a dangerous one without trust, or no functional model.
    """
    import keras

    path = _path(name)
    if not path.is_file() or path.suffix != ".keras":
        raise UserError(
            "there is no .keras file of that name, and no run; `model.save('NAME.keras')` writes one",
            f"file:{name}",
            option="backbone",
        )
    if not trust:
        refuse(keras_fault(path), f"file:{name}", "backbone")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # Keras, zipfile and h5py raise whatever they like for a file that they do not know
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"Keras cannot load it: {reason}", f"file:{name}", option="backbone") from error
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise UserError("not a functional or sequential model of one input and one output", f"file:{name}", option="backbone")
    model.trainable = True
    return model


def _check_pictures(name: str, model: Any) -> None:
    """Check that a model takes pictures.

    Raises:
        UserError: it does not.
    """
    shape = model.inputs[0].shape
    if len(shape) != 4 or shape[-1] not in (1, 3, 4):
        raise UserError(
            "not a model of grey, RGB or RGBA pictures; one of texts must lie in the folder of its run",
            f"file:{name}",
            "backbone",
        )


def _texts(name: str) -> TextInput | None:
    """What the folder of a run on texts says of its tokenizer; None for any other model.

    Raises:
        UserError: it was altered.
    """
    path = _path(name).with_name(INPUT)
    if not path.is_file():
        return None
    try:
        kind, fields = json.loads(path.read_text(encoding="utf-8"))
        known = {field: fields[field] for field in TextInput._fields if field != "pairs"}
        return TextInput(**{**known, "vocabulary": tuple(known["vocabulary"])}) if kind == "text" else None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} was altered, and does not say how its texts are read", f"file:{name}", "backbone") from error


def _of_texts(name: str, model: Any, stated: TextInput, image_size: int | None) -> LoadedBackbone:
    """The network of a run on texts, with the stages that it had where its layers are named as `bert:` names them."""
    import keras

    if image_size is not None:
        raise UserError(f"file:{name} takes texts, which have no pixels; leave the option out", image_size, "image_size")
    graph = keras.Model(model.inputs[0], _features(model), name="backbone")
    stages, stage_of = bert_network.stages_by_name(graph) or anatomy(graph)
    stated = stated._replace(pairs=bert_network.takes_pairs(graph))
    return LoadedBackbone(Backbone(f"file:{name}", stated, stages), graph, stage_of, weights=_path(name).name)


def _leaf(step: Step, values: dict[int, Any]) -> list[Any]:
    """Run a step, leaving out augmentation."""
    if type(step.operation).__name__.startswith(AUGMENTING) and step.inputs[0].shape == step.outputs[0].shape:
        return [values[id(step.inputs[0])]]
    return step.call(values)


def _features(model: Any) -> Any:
    """The tensor that a flat model's classification layer reads; its output if it has none."""
    made_by = {id(tensor): step for step in steps(model) for tensor in step.outputs}
    tensor = model.outputs[0]
    while (step := made_by.get(id(tensor))) and len(step.inputs) == 1 and _ends_classifier(step.operation):
        tensor = step.inputs[0]
        if getattr(step.operation, "weights", ()):
            return _before(tensor, made_by)
    return model.outputs[0]


def _before(tensor: Any, made_by: dict[int, Step]) -> Any:
    """The features themselves, before the dropout that belongs to the classifier."""
    while (step := made_by.get(id(tensor))) and any(word in type(step.operation).__name__ for word in PASSING):
        tensor = step.inputs[0]
    return tensor


def _ends_classifier(operation: Any) -> bool:
    """Whether an operation can be the classification layer, or stand after it."""
    kind = type(operation).__name__
    if getattr(operation, "weights", ()):
        pointwise = kind == "Dense" or (kind == "Conv2D" and tuple(operation.kernel_size) == (1, 1))
        return pointwise and operation.activation.__name__ in PROBABILITIES
    if kind == "Activation":
        return operation.activation.__name__ in PROBABILITIES
    if kind == "Rescaling":  # of a classifier's outputs: a temperature or a scale
        return len(operation.output.shape) == 2
    return kind in ("Softmax", "Sigmoid", "LogSoftmax", "Reshape", "Flatten") or kind.startswith("Global") or kind in PASSING
