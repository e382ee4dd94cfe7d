"""What the providers share: fresh layer names, local weights, and a graph with its facts as a LoadedBackbone."""

from __future__ import annotations

import difflib
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tlapp.contracts import Backbone, ImageInput, LoadedBackbone, UserError
from tlapp.contracts.anatomy import anatomy
from tlapp.contracts.graph import Step, is_nested, replay, steps

Call = Callable[[Step, dict[int, Any]], Sequence[Any]]
"""How a step is run; see `contracts.graph.replay`."""

IMAGENET = "trained on ImageNet-1k, whose pictures are for non-commercial research"


def assemble(name: str, image: Any, features: Any, *, weights: str, licence: str = "") -> LoadedBackbone:
    """The backbone from an `image` input (batch, size, size, channels) to `features`, pooled if they are not (batch, n) yet."""
    import keras

    graph = keras.Model(image, pooled(features), name="backbone")
    stages, stage_of = anatomy(graph)
    facts = Backbone(name, ImageInput(image.shape[1], image.shape[3]), stages)
    return LoadedBackbone(facts, graph, stage_of, licence=licence, weights=weights)


def pooled(features: Any) -> Any:
    """The mean over all positions of a map or of tokens; vectors as they are."""
    import keras

    if len(features.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(name="pool")(features)
    return keras.layers.GlobalAveragePooling1D(name="pool")(features) if len(features.shape) == 3 else features


def filled(graph: Any) -> Any:
    """Which positions of a graph's examples are not padding: symbolic, (batch, positions); None where all have one length.

    Padding is zeros, in all inputs of any length.
    """
    import keras

    masks = [keras.ops.not_equal(each, 0) for each in graph.inputs if len(each.shape) == 2 and each.shape[1] is None]
    return functools.reduce(keras.ops.logical_or, masks) if masks else None


def picture(size: int, channels: int = 3) -> Any:
    """A symbolic batch of square pictures, 0 to 255, of 3 channels for RGB."""
    import keras

    return keras.Input((size, size, channels), name="image")


RESERVED = ("image", "pool", "rescale")


def flat(model: Any, image: Any, leaf: Call = Step.call, taken: dict[str, Any] | None = None) -> Any:
    """The output of `model` on `image`, models nested in it run layer by layer, each step of theirs by `leaf`.

    Layers of one name, or of one that a SavedModel cannot hold, are renamed.

    Args:
        taken: names that are taken, as `reserved` gives them and former calls for the same graph added to.
    """
    return _flat(model, image, leaf, reserved() if taken is None else taken)


def reserved() -> dict[str, Any]:
    """The names that a graph has for its own layers."""
    return dict.fromkeys(RESERVED)


def _flat(model: Any, image: Any, leaf: Call, taken: dict[str, Any]) -> Any:
    def call(step: Step, values: dict[int, Any]) -> Sequence[Any]:
        if is_nested(step.operation) and len(step.inputs) == 1:
            return [_flat(step.operation, values[id(step.inputs[0])], leaf, taken)]
        _rename(step.operation, taken)
        return leaf(step, values)

    graph = getattr(model, "_functional", None) or model
    values = replay(steps(graph), {id(graph.inputs[0]): image}, call)
    return values[id(graph.outputs[0])]


def _rename(operation: Any, taken: dict[str, Any]) -> None:
    """Give an operation a name that no other has and that does not begin with an underscore."""
    base = name = operation.name.lstrip("_") or "layer"
    count = 0
    while taken.setdefault(name, operation) is not operation:
        count += 1
        name = f"{base}_{count}"
    if name != operation.name:
        operation.name = name


@contextmanager
def fresh_names() -> Iterator[None]:
    """Inside, Keras counts layers from the start, so that a backbone's layers are called the same whenever it is built."""
    from keras.src.backend.common import global_state

    key = "object_name_uids"
    before = global_state.get_global_attribute(key) or {}
    global_state.set_global_attribute(key, defaultdict(int))
    try:
        yield
    finally:
        counts = global_state.get_global_attribute(key)
        counts.update({name: max(count, counts.get(name, 0)) for name, count in before.items()})


def check_file(file: str) -> Path:
    """The path of a local weights file.

    Raises:
        UserError: there is no such file.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise UserError('there is no such file; give a weights file (.h5) or "none"', file, option="backbone_weights")
    return path


def read_weights(model: Any, file: str) -> str:
    """Load a local weights file and return its name.

    Raises:
        UserError: there is no such file, or it does not fit.
    """
    path = check_file(file)
    try:
        model.load_weights(path)
    except Exception as error:  # Keras and h5py raise whatever they like for a file that does not fit
        raise bad_weights(file, error) from error
    return path.name


def bad_weights(file: str, error: Exception) -> UserError:
    """The error for a weights file that does not fit."""
    reason = str(error).strip().partition("\n")[0]
    return UserError(f"not the weights of this backbone without its classifier: {reason}", file, option="backbone_weights")


def unknown(prefix: str, name: str, names: Iterable[str]) -> UserError:
    """The error for a name that a provider does not have."""
    spelt = {_plain(known): known for known in names}
    near = difflib.get_close_matches(_plain(name), spelt, n=3, cutoff=0.6)
    likely = near[:1] if _plain(name) in spelt else near
    hint = f"did you mean {' or '.join(spelt[key] for key in likely)}?" if likely else "`tlapp backbones list` lists all"
    return UserError(f"there is no such network; {hint}", f"{prefix}:{name}", option="backbone")


def _plain(name: str) -> str:
    """A name without what people misremember: capitals, dashes, underscores."""
    return name.lower().replace("-", "").replace("_", "")


def bad_size(backbone: str, size: int, error: Exception) -> UserError:
    """The error for an image size that a network cannot be built at."""
    reason = str(error).strip().partition("\n")[0]
    return UserError(f"{backbone} cannot be built for this size: {reason}", size, option="image_size")
