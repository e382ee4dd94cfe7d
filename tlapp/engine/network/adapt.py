"""Backbones as the engine takes them: inputs in the input's order, and pictures of three channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tlapp.contracts import BackboneProvider, ImageInput, Input, LoadedBackbone, PluginError, UserError
from tlapp.contracts.graph import replay, steps
from tlapp.engine.inputs import reader
from tlapp.engine.options import RunOptions
from tlapp.tensorflow_import import quiet_tensorflow

LUMINANCE = (0.299, 0.587, 0.114)
"""What red, green and blue count in a grey picture (ITU-R BT.601, as Pillow has it)."""
OPAQUE = 255.0


def begun(provider: BackboneProvider, name: str, options: RunOptions) -> LoadedBackbone:
    """The backbone that a run begins with: what is random in it follows from the seed, and so does what a graft then draws.

    Raises:
        UserError, PluginError: it cannot be loaded; and as `adapted`.
    """
    quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(options.seed)
    loaded = provider.load(name, image_size=options.image_size, weights=options.backbone_weights)
    return adapted(loaded, reader(loaded.facts.input, options))


def adapted(loaded: LoadedBackbone, examples: Input) -> LoadedBackbone:
    """A loaded backbone that takes what the engine reads: of a picture with 1 or 4 channels, a fixed front makes them of RGB.

    Raises:
        UserError: it takes pictures of any other number of channels.
        PluginError: its graph's inputs are not those that its facts state.
    """
    facts = loaded.facts
    if isinstance(facts.input, ImageInput) and facts.input.channels != 3:
        loaded = _of_rgb(loaded, facts.input)
    tensors, inputs = examples.tensors, [tuple(tensor.shape[1:]) for tensor in loaded.graph.inputs]
    if len(inputs) != len(tensors) or not all(_takes(shape, tensor.shape) for shape, tensor in zip(inputs, tensors, strict=True)):
        wanted = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in tensors)
        received = ", ".join(map(str, inputs))
        raise PluginError(f"the inputs of its graph must be {wanted}, without the batch. Received: {received}", facts.name)
    return loaded


def _takes(shape: tuple[int | None, ...], given: tuple[int, ...]) -> bool:
    """Whether an input of this shape, None where it takes any length, takes arrays of the given one."""
    return len(shape) == len(given) and all(side in (None, own) for side, own in zip(shape, given, strict=True))


def _of_rgb(loaded: LoadedBackbone, stated: ImageInput) -> LoadedBackbone:
    import keras

    if stated.channels not in FRONTS:
        raise UserError(f"{loaded.facts.name}: takes pictures of {stated.channels} channels; only 1, 3 and 4 are supported")
    image = keras.Input((stated.size, stated.size, 3), name="image")
    source, output = loaded.graph.inputs[0], loaded.graph.outputs[0]
    values = replay(steps(loaded.graph), {id(source): FRONTS[stated.channels](image)})
    graph = keras.Model(image, values[id(output)], name="backbone")
    return replace(loaded, facts=replace(loaded.facts, input=ImageInput(stated.size)), graph=graph)


def _grey(image: Any) -> Any:
    import keras

    weighted = keras.layers.Rescaling(LUMINANCE, name="luminance")(image)
    return keras.ops.sum(weighted, axis=-1, keepdims=True)


def _with_alpha(image: Any) -> Any:
    import keras

    return keras.ops.pad(image, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=OPAQUE)


FRONTS: dict[int, Callable[[Any], Any]] = {1: _grey, 4: _with_alpha}
"""Channels of a backbone -> what makes its pictures of RGB ones."""
