"""What the providers share: fresh layer names, local weights, and a graph with its facts as a LoadedBackbone."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tlapp.backbones.anatomy import anatomy
from tlapp.contracts import Backbone, ImageInput, LoadedBackbone, UserError
from tlapp.contracts.graph import expand, replay, steps

IMAGENET = "trained on ImageNet-1k, whose pictures are for non-commercial research"


def assemble(name: str, image: Any, features: Any, *, weights: str, licence: str = "") -> LoadedBackbone:
    """The backbone from an `image` input (batch, size, size, 3) to `features`, pooled if they are not (batch, n) yet."""
    import keras

    graph = keras.Model(image, pooled(features), name="backbone")
    stages, stage_of = anatomy(graph)
    facts = Backbone(name, ImageInput(image.shape[1]), stages)
    return LoadedBackbone(facts, graph, stage_of, licence=licence, weights=weights)


def pooled(features: Any) -> Any:
    """The mean over all positions of a map or of tokens; vectors as they are."""
    import keras

    if len(features.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(name="pool")(features)
    return keras.layers.GlobalAveragePooling1D(name="pool")(features) if len(features.shape) == 3 else features


def picture(size: int) -> Any:
    """A symbolic batch of square RGB pictures, 0 to 255."""
    import keras

    return keras.Input((size, size, 3), name="image")


def flat(model: Any, image: Any) -> Any:
    """The output of `model` on `image`, nested models run layer by layer."""
    values = replay(steps(model), {id(model.inputs[0]): image}, expand)
    return values[id(model.outputs[0])]


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
        raise UserError(f'--backbone-weights {file}: there is no such file; give a weights file (.h5, .weights.h5), or "none"')
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
    return UserError(f"--backbone-weights {file}: not the weights of this backbone without its classifier: {reason}")


def unknown(prefix: str, name: str, names: Iterable[str]) -> UserError:
    """The error for a name that a provider does not have."""
    near = difflib.get_close_matches(name.lower(), [known.lower() for known in names], n=3, cutoff=0.6)
    spelt = [known for known in names if known.lower() in near]
    hint = f"did you mean {' or '.join(spelt)}?" if spelt else f"`tlapp backbones list` names those of {prefix}"
    return UserError(f"--backbone {prefix}:{name}: there is no such network; {hint}", received=name)


def bad_size(backbone: str, size: int, error: Exception) -> UserError:
    """The error for an image size that a network cannot be built at."""
    reason = str(error).strip().partition("\n")[0]
    return UserError(f"--image-size {size}: {backbone} cannot be built for it: {reason}", received=size)
