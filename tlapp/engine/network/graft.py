"""What a plan makes of the network: is a grafted graph one that can be cut, frozen, deployed and opened again, and does a
finished model answer as before?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tlapp.contracts import LoadedBackbone, Plan
from tlapp.contracts.graph import is_nested, steps
from tlapp.errors import PluginError
from tlapp.words import in_a_line

SAME = 1e-4
"""How far an answer of a finished model may be from the unfinished one's, over the largest answer where that is above 1."""


def grafted(plan: Plan, backbone: LoadedBackbone) -> Any:
    """The network of a backbone as a plan's graft leaves it.

    Raises:
        PluginError: the graft breaks it; says how.
    """
    if plan.graft is None:
        return backbone.graph
    graph = plan.graft(backbone)
    check_graft(graph, backbone)
    return graph


def check_graft(graph: Any, backbone: LoadedBackbone) -> None:
    """Check that a grafted graph is one that can be cut, frozen and deployed.

    Raises:
        PluginError: it is not; says how.
    """
    if fault := _graft_fault(graph, backbone):
        raise PluginError(f"its graft breaks the graph: {fault}")


def check_deploys(model: Callable[[], Any]) -> None:
    """Check that the deployed model of a grafted graph can be built.

    Raises:
        PluginError: it cannot; says why.
    """
    try:
        model()
    except Exception as error:  # Keras raises what it likes
        raise PluginError(f"its graft breaks the graph: no model can be built from it: {in_a_line(error)}") from error


def finished(finish: Callable[[Any], Any] | None, model: Any, examples: Callable[[], Sequence[np.ndarray]]) -> Any:
    """What a plan's `finish` makes of the deployed model, checked; the model itself where there is none.

    Args:
        examples: gives some real ones, an array a tensor of the input.

    Raises:
        PluginError: what it makes is no model, takes other examples, or answers them in another way.
    """
    if finish is None:
        return model
    made = finish(model)
    if not hasattr(made, "_nodes_by_depth"):
        raise PluginError(f"its finish must return a functional keras.Model. Received: {type(made).__name__}")
    before, after = ([(t.name, tuple(t.shape), t.dtype) for t in each.inputs] for each in (model, made))
    if before != after:
        raise PluginError(f"its finish must keep the inputs {before}. Received: {after}")
    # `input` is a tensor or a list of them, as the model was made.
    arrays = examples()
    batches = ([*arrays] if isinstance(each.input, (list, tuple)) else arrays[0] for each in (model, made))
    old, new = (np.asarray(each(batch, training=False)) for each, batch in zip((model, made), batches, strict=True))
    if old.shape != new.shape:
        raise PluginError(f"its finish must keep the shape of the answers, {old.shape}. Received: {new.shape}")
    gap, most = float(np.abs(old - new).max()), SAME * max(1.0, float(np.abs(old).max()))
    if not gap <= most:
        raise PluginError(f"its finish must leave the answers as they are, but they differ by up to {gap:.2g}")
    return made


def check_opens(graph: Any, own: Iterable[Any], known: Iterable[type]) -> None:
    """Check that what a graft added is of classes that a saved model is opened with.

    Args:
        own: the layers that the network has without it.
        known: classes beyond Keras's own that the model is opened with.

    Raises:
        PluginError: a layer is not.
    """
    own = {id(layer) for layer in own}
    names = {_name(each) for each in known}
    for layer in graph.layers:
        if id(layer) not in own and not type(layer).__module__.startswith("keras.") and _name(type(layer)) not in names:
            raise PluginError(
                f"its graft adds the layer {layer.name} of a class of its own, {_name(type(layer))}, with which the saved model "
                "cannot be opened again; build it from layers and operations of Keras's own"
            )


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _graft_fault(graph: Any, backbone: LoadedBackbone) -> str:
    if not hasattr(graph, "_nodes_by_depth"):
        return f"it must return a functional keras.Model. Received: {type(graph).__name__}"
    if len(graph.outputs) != 1 or len(graph.outputs[0].shape) != 2:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in graph.outputs)
        return f"it must have one output, (batch, features). Received: {shapes}"
    inputs, wanted = ([(tuple(t.shape), t.dtype) for t in each.inputs] for each in (graph, backbone.graph))
    if inputs != wanted:
        return f"its inputs must be the backbone's, {wanted}. Received: {inputs}"
    own = {id(layer): layer for layer in backbone.graph.layers}
    for step in steps(graph):
        name = step.operation.name
        if is_nested(step.operation) and any(layer.name in backbone.stage_of for layer in step.operation.layers):
            return f"it nests the backbone's layers in {name}; build on their tensors (contracts.graph.rebuild) to keep them flat"
        # What has no weights is let pass: an operation such as x + y is no layer, and so not among the backbone's own.
        if name in backbone.stage_of and id(step.operation) not in own and getattr(step.operation, "weights", None):
            return f"its layer {name} has the name of a backbone's layer but is another layer; give it a unique name"
    return ""
