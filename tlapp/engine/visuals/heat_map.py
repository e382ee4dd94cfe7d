"""Heat maps: where in a picture a network sees what speaks for its answer, by the gradients at a map of its features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isqrt
from typing import Any, Literal, NamedTuple

import numpy as np

from tlapp.contracts.graph import Step, needed, replay, steps
from tlapp.engine.visuals.tokens import as_map, grids
from tlapp.errors import UserError
from tlapp.tensorflow_import import quiet_tensorflow

Method = Literal["grad-cam", "layer-cam"]
FINE = 4
"""Places a side that a map must have to say where: where the last one is coarser, an earlier one is taken."""
FINEST = 28
"""Places a side that an earlier map may have: one of more knows edges and colours, and not yet what they are of."""
BLOCK = 16
"""Pictures at a time."""


class Place(NamedTuple):
    """Where the gradients of a model are taken, in symbolic tensors of its graph.

    Attributes:
        maps: (batch, height, width, channels) each: all that the answer is computed from, or one earlier map; or one grid of
            tokens, (batch, tokens, channels).
        score: (batch, classes) before softmax or sigmoid; the answer itself where there is neither.
        by_place: weigh each place by its own gradient (LayerCAM), not a whole channel by its mean one (Grad-CAM).
    """

    maps: tuple[Any, ...]
    score: Any
    by_place: bool

    @property
    def method(self) -> str:
        """As the option says it."""
        return "layer-cam" if self.by_place else "grad-cam"

    @property
    def sizes(self) -> list[list[int]]:
        """Height and width of each map."""
        return [[int(side) for side in _sides(symbol)] for symbol in self.maps]


def heat_map(run_or_model: Any, rows: Any, classes: Sequence[int] | None = None, method: Method = "grad-cam") -> np.ndarray:
    """What in each picture speaks for a class, from 0 to 1, the most of a picture 1; all 0 where nothing does.

    Args:
        run_or_model: a finished run on pictures, or its deployed Keras model.
        rows: pictures as the run's input reads them, (n, size, size, 3) from 0 to 255; or a tuple of that one array.
        classes: of each picture, the number of the class to explain; None for the most probable, or for the answer that is a
            number: what raises it.
        method: see `place_of`.

    Returns:
        (n, size, size) float32.

    Raises:
        UserError: the network has no map of features.
    """
    model = getattr(run_or_model, "model", run_or_model)
    return explained(model, place_of(model, method), rows, classes)[0]


def place_of(model: Any, method: Method = "grad-cam") -> Place:
    """Where the gradients of a deployed model are taken.

    Args:
        method: "grad-cam" (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391) at the last map, or at the last of each
            branch; "layer-cam" (Jiang et al. 2021, https://doi.org/10.1109/TIP.2021.3089943) at a finer one. Grad-CAM is what
            was found to tell where a class is (docs/results.md, "Heat maps"). Of a vision transformer the last grid of tokens
            is taken whose patches the answer is computed from: where it reads a class token, that is what the last block takes
            (so does https://jacobgil.github.io/pytorch-gradcam-book/vision_transformers.html).

    Raises:
        UserError: the network has no map of features.
    """
    quiet_tensorflow()
    todo = steps(model)
    score = _before_activation(todo, model.outputs[0])
    maps = _last_maps(model, todo) or _last_grid(model, todo, score)
    side = min(min(_sides(symbol)) for symbol in maps)
    if method == "layer-cam":
        return Place(_finer_map(model, todo, max(FINE, side + 1)) or maps, score, True)
    return Place(maps if side >= FINE else _finer_map(model, todo, FINE) or maps, score, False)


def explained(model: Any, place: Place, rows: Any, classes: Sequence[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The heat maps (n, size, size) of pictures, as `heat_map`, and the model's answers (n, classes)."""
    pictures = rows[0] if isinstance(rows, tuple) else rows
    todo = steps(model)
    heat, answers = [], []
    for start in range(0, len(pictures), BLOCK):
        block = np.asarray(pictures[start : start + BLOCK], model.inputs[0].dtype)
        chosen = None if classes is None else np.asarray(classes[start : start + BLOCK])
        maps, gradients, answer = _explained(model, todo, place, block, chosen)
        heat.append(_heat(maps, gradients, place.by_place, block.shape[1:3]))
        answers.append(np.asarray(answer))
    size = tuple(model.inputs[0].shape[1:3])
    empty = np.zeros((0, *size), np.float32), np.zeros((0, model.outputs[0].shape[-1]), np.float32)
    return (np.concatenate(heat), np.concatenate(answers)) if heat else empty


def _explained(
    model: Any, todo: Sequence[Step], place: Place, block: np.ndarray, classes: np.ndarray | None
) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
    """As `_gradients`, of pictures."""
    values: dict[int, Any] = {id(model.inputs[0]): block}
    replay(_forgetting(needed(todo, place.maps), values, place.maps), values)
    rest, output = _between(todo, place.maps, (place.score, model.outputs[0])), model.outputs[0]
    return _gradients(rest, place, [values[id(symbol)] for symbol in place.maps], classes, output)


def _forgetting(todo: Sequence[Step], values: dict[int, Any], kept: Sequence[Any]) -> Iterator[Step]:
    """The steps; after each, values that no later one takes and that are not to be kept are dropped."""
    last = {id(tensor): step for step in todo for tensor in step.inputs} | {id(tensor): None for tensor in kept}
    for step in todo:
        yield step
        for tensor in step.inputs:
            if last[id(tensor)] is step:
                values.pop(id(tensor), None)


def _gradients(
    rest: Sequence[Step], place: Place, maps: list[Any], classes: np.ndarray | None, output: Any
) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
    """The maps, the gradients of the chosen classes' scores by them, and the answers."""
    import tensorflow as tf

    maps = [tf.convert_to_tensor(each) for each in maps]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(maps)
        values = replay(rest, {id(symbol): value for symbol, value in zip(place.maps, maps, strict=True)})
        chosen = np.argmax(values[id(output)], axis=-1) if classes is None else classes
        score = tf.gather(values[id(place.score)], chosen, batch_dims=1)
    found = tape.gradient(score, maps)
    return maps, [tf.zeros_like(m) if g is None else g for m, g in zip(maps, found, strict=True)], values[id(output)]


def _heat(maps: Sequence[Any], gradients: Sequence[Any], by_place: bool, size: Sequence[int]) -> np.ndarray:
    """From maps and gradients, (n, h, w, channels) each, to (n, *size) from 0 to 1; what several maps say is added."""
    import tensorflow as tf

    whole = 0.0
    for each, gradient in zip(map(as_map, maps), map(as_map, gradients), strict=True):
        weights = tf.nn.relu(gradient) if by_place else tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        heat = tf.nn.relu(tf.reduce_sum(weights * each, axis=-1, keepdims=True))
        places = each.shape[1] * each.shape[2]  # a place of a fine map is a small part of the picture
        whole += tf.image.resize(heat, size, method="bilinear")[..., 0] * places
    heat = np.asarray(whole, np.float32)
    return heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)


def _last_maps(model: Any, todo: Sequence[Step]) -> tuple[Any, ...]:
    """The maps that the answer is computed from without another map between: one, or one of each branch; () of tokens.

    Raises:
        UserError: there is none; the sentence says what there is.
    """
    made = {id(tensor): step for step in todo for tensor in step.outputs}
    waiting, found, seen = [model.outputs[0]], set(), set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if _is_map(tensor) and _has_weights(todo, tensor):
            found.add(id(tensor))
        elif id(tensor) not in made:
            raise UserError(
                "heat maps need a network that keeps a map of a picture to its end; this one shows none of its inside"
            )
        elif len(tensor.shape) == 3:
            return ()
        else:
            waiting += made[id(tensor)].inputs
    return tuple(tensor for step in todo for tensor in step.outputs if id(tensor) in found)


def _last_grid(model: Any, todo: Sequence[Step], score: Any) -> tuple[Any, ...]:
    """The last grid of tokens whose patches have a gradient, tried on a picture of noise.

    Raises:
        UserError: there is none.
    """
    noise = np.random.default_rng(0).uniform(0, 255, (1, *model.inputs[0].shape[1:])).astype(model.inputs[0].dtype)
    for tensor in reversed(grids(model, todo)):
        if not _has_weights(todo, tensor):
            break
        _, (gradient,), _ = _explained(model, todo, Place((tensor,), score, False), noise, None)
        if np.any(as_map(gradient)):
            return (tensor,)
    raise UserError(
        "heat maps need a network that keeps a map of a picture to its end; this one cuts it into tokens that are no square grid"
    )


def _sides(tensor: Any) -> Sequence[int]:
    """Height and width of a map, or of a grid of tokens."""
    return (isqrt(tensor.shape[1]),) * 2 if len(tensor.shape) == 3 else tensor.shape[1:3]


def _finer_map(model: Any, todo: Sequence[Step], side: int) -> tuple[Any, ...]:
    """The last map of so many places a side that all of the answer is computed from, alone; () where there is none."""
    last_read = {id(tensor): number for number, step in enumerate(todo) for tensor in step.inputs}
    last_read[id(model.outputs[0])] = len(todo)
    alive: set[int] = {id(tensor) for tensor in model.inputs}
    found: tuple[Any, ...] = ()
    for number, step in enumerate(todo):
        pads = "Padding" in type(step.operation).__name__  # the places of a map with a frame are not those of the picture
        alive = {key for key in alive | {id(t) for t in step.outputs} if last_read.get(key, -1) > number}
        for tensor in step.outputs:
            fits = _is_map(tensor) and side <= min(tensor.shape[1:3]) <= FINEST and not pads
            if fits and alive == {id(tensor)} and _has_weights(todo, tensor):
                found = (tensor,)
    return found


def _before_activation(todo: Sequence[Step], output: Any) -> Any:
    """The scores that a softmax or sigmoid makes the answer of; the answer where it is made otherwise."""
    last = next(step for step in todo if any(tensor is output for tensor in step.outputs))
    kind, activation = type(last.operation).__name__, getattr(getattr(last.operation, "activation", None), "__name__", "")
    pure = kind in ("Softmax", "Sigmoid") or (kind == "Activation" and activation in ("softmax", "sigmoid"))
    return last.inputs[0] if pure else output


def _between(todo: Sequence[Step], starts: Iterable[Any], targets: Iterable[Any]) -> list[Step]:
    """Those of the steps that compute the targets, where the starts are known."""
    known, wanted, chosen = {id(tensor) for tensor in starts}, {id(tensor) for tensor in targets}, []
    for step in reversed(todo):
        if any(id(tensor) in wanted - known for tensor in step.outputs):
            wanted.update(id(tensor) for tensor in step.inputs)
            chosen.append(step)
    return chosen[::-1]


def _is_map(tensor: Any) -> bool:
    shape = tuple(tensor.shape)
    return len(shape) == 4 and None not in shape[1:3] and shape[1] * shape[2] > 1


def _has_weights(todo: Sequence[Step], tensor: Any) -> bool:
    """Whether a tensor is more than the picture, scaled."""
    return any(getattr(step.operation, "weights", ()) for step in needed(todo, [tensor]))
