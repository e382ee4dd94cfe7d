"""The rules that are backbone providers' own."""

from __future__ import annotations

import numpy as np

from tlapp.contracts import ImageInput, Input, TextInput, UserError
from tlapp.contracts.graph import is_nested, replay, steps
from tlapp.testing.subject import BackboneSubject, Broken

UNKNOWN = "no-such-backbone"
SIDE = 16
"""Of examples whose shape is open."""


def names(subject: BackboneSubject) -> None:
    """names() lists names without a prefix, and an unknown name raises a UserError."""
    listed = list(subject.plugin.names())
    if bad := [name for name in listed if not isinstance(name, str) or not name]:
        raise Broken(f"names() lists {bad[0]!r}")
    try:
        subject.plugin.load(UNKNOWN)
    except UserError:
        return
    except Exception as error:
        raise Broken(f"load({UNKNOWN!r}) must raise a UserError. It raised {type(error).__name__}") from error
    raise Broken(f"load({UNKNOWN!r}) must raise a UserError")


def facts(subject: BackboneSubject) -> None:
    """The facts match the graph: the input size, stages from input to output with unique names, and parameters of each."""
    loaded = subject.loaded
    actual, shapes = loaded.facts, [tuple(tensor.shape) for tensor in loaded.graph.inputs]
    wanted = [(None, *shape) for shape in _shapes(actual.input)]
    if shapes != wanted:
        raise Broken(f"its facts say that the inputs are {wanted}; those of the graph are {shapes}")
    stages = [stage.name for stage in actual.stages]
    if not stages or len(set(stages)) != len(stages):
        raise Broken(f"it must have at least one stage, with unique names. Received: {', '.join(stages) or 'none'}")
    counts = dict.fromkeys(stages, 0)
    for layer in loaded.graph.layers:
        if layer.weights and loaded.stage_of.get(layer.name) in counts:
            counts[loaded.stage_of[layer.name]] += sum(int(np.prod(v.shape)) for v in layer.weights if "seed" not in v.path)
    for stage in actual.stages:
        if stage.params != counts[stage.name]:
            raise Broken(f"its facts say {stage.params:,} parameters for stage {stage.name}; it has {counts[stage.name]:,}")


def graph(subject: BackboneSubject) -> None:
    """The graph is a flat functional Keras model from raw examples, such as pictures, to finite features (batch, size)."""
    model = subject.loaded.graph
    if not hasattr(model, "_nodes_by_depth") or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise Broken("it must be a functional keras.Model of one input and one output")
    if len(model.outputs[0].shape) != 2:
        raise Broken(f"its output must be (batch, features). Received: {tuple(model.outputs[0].shape)}")
    if nested := [step.operation.name for step in steps(model) if is_nested(step.operation)]:
        raise Broken(f"{nested[0]} is a model inside the graph; contracts.graph.expand flattens it")
    features = np.asarray(model(_noise(model), training=False))
    if not np.isfinite(features).all() or np.ptp(features) == 0:
        raise Broken("raw examples, such as pictures of 0 to 255, give features that are not finite, or are all the same")


def layers(subject: BackboneSubject) -> None:
    """Every layer with weights belongs to a stage, and no stage reads from a later one."""
    loaded = subject.loaded
    order = {stage.name: place for place, stage in enumerate(loaded.facts.stages)}
    reached: dict[int, int] = {}
    for step in steps(loaded.graph):
        name = step.operation.name
        stage = loaded.stage_of.get(name)
        if stage not in order and (stage is not None or getattr(step.operation, "weights", None)):
            raise Broken(f"layer {name} is in the stage {stage}, but the facts list {', '.join(order)}")
        before = max((reached.get(id(tensor), -1) for tensor in step.inputs), default=-1)
        here = before if stage is None else order[stage]
        if here < before:
            raise Broken(f"layer {name} of stage {stage} reads from a later stage; a cut between the two is not possible")
        reached.update({id(tensor): here for tensor in step.outputs})


def cut(subject: BackboneSubject) -> None:
    """The frozen front followed by the rest computes the same as the whole network."""
    from tlapp.engine.network.cut import cut as split
    from tlapp.engine.network.front import Front
    from tlapp.engine.network.net import infer

    loaded = subject.loaded
    pictures = _noise(loaded.graph)
    whole = np.asarray(loaded.graph(pictures, training=False))
    cut_at = split(loaded.graph, loaded.facts.last(1), loaded.stage_of)
    crossing = [pictures] if cut_at.at_input else Front(loaded.graph, cut_at.boundary)([pictures])
    values = {id(symbol): value for symbol, value in zip(cut_at.boundary, crossing, strict=True)}
    actual = np.asarray(replay(cut_at.rest, values, infer)[id(cut_at.output)])
    if not np.allclose(actual, whole, rtol=1e-3, atol=1e-3 * float(np.abs(whole).max())):
        raise Broken(f"cut before the last stage, features differ by up to {np.abs(actual - whole).max():.3g}")


def size(subject: BackboneSubject) -> None:
    """native_size() is the default size of load(), or None."""
    stated = subject.plugin.native_size(subject.backbone_name)
    if stated is None:
        return
    actual = subject.plugin.load(subject.backbone_name, weights=subject.asked["weights"]).facts.input.size
    if stated != actual:
        raise Broken(f"native_size() says {stated}; load() chose {actual}")


def _shapes(stated: ImageInput | TextInput | Input) -> list[tuple[int | None, ...]]:
    """The shapes of a backbone's inputs, without the batch, as its facts state them."""
    if isinstance(stated, Input):
        return [tensor.shape for tensor in stated.tensors]
    if isinstance(stated, TextInput):
        return [(None,)]
    return [(stated.size, stated.size, stated.channels)]


def _noise(model: object) -> np.ndarray:
    symbol = model.inputs[0]  # type: ignore[attr-defined]
    shape = tuple(side or SIDE for side in symbol.shape[1:])
    if "int" in symbol.dtype:
        return np.random.default_rng(0).integers(0, 2, (4, *shape)).astype(symbol.dtype)  # any vocabulary has as many
    return np.random.default_rng(0).integers(0, 256, (4, *shape)).astype(np.float32)
