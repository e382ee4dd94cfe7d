"""Functional Keras graphs as a list of steps: to read, to run in parts, to change. For backbones and grafts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tlapp.contracts.backbone import LoadedBackbone


class Step(NamedTuple):
    """One call of one operation: `inputs` and `outputs` are symbolic tensors, `arguments` can be filled in with others."""

    operation: Any
    arguments: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]

    def call(self, values: dict[int, Any], **overrides: Any) -> list[Any]:
        """Run the operation on `values` (symbolic tensor's id -> tensor) and return its outputs, flat."""
        import keras

        args, kwargs = self.arguments.fill_in(values)
        return keras.tree.flatten(self.operation(*args, **{**kwargs, **overrides}))


def steps(model: Any) -> list[Step]:
    """The steps of a functional model, inputs first, each after all that it needs."""
    listed = []
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                listed.append(Step(node.operation, node.arguments, tuple(node.input_tensors), tuple(node.outputs)))
    return listed


def replay(
    todo: Iterable[Step],
    values: dict[int, Any],
    call: Callable[[Step, dict[int, Any]], Sequence[Any]] = lambda step, values: step.call(values),
) -> dict[int, Any]:
    """Run steps over `values` (symbolic tensor's id -> tensor, real or symbolic), adding each output to it.

    `call` replaces how a step is run: return other tensors to leave a layer out, wrap it or follow it with something.
    """
    for step in todo:
        for symbol, value in zip(step.outputs, call(step, values), strict=True):
            values[id(symbol)] = value
    return values


def needed(todo: Sequence[Step], targets: Iterable[Any]) -> list[Step]:
    """Those of the steps that the target tensors depend on."""
    wanted = {id(tensor) for tensor in targets}
    chosen = []
    for step in reversed(todo):
        if any(id(tensor) in wanted for tensor in step.outputs):
            wanted.update(id(tensor) for tensor in step.inputs)
            chosen.append(step)
    return chosen[::-1]


def rebuild(model: Any, call: Callable[[Step, dict[int, Any]], Sequence[Any]], inputs: Any = None) -> Any:
    """A new functional model from the same layers, each step run by `call`; on `inputs` instead of the model's own, if given."""
    import keras

    sources = keras.tree.flatten(model.inputs)
    tensors = sources if inputs is None else keras.tree.flatten(inputs)
    values = replay(steps(model), {id(s): t for s, t in zip(sources, tensors, strict=True)}, call)
    outputs = [values[id(tensor)] for tensor in model.outputs]
    structure = keras.tree.pack_sequence_as(model._outputs_struct, outputs) if len(outputs) > 1 else outputs[0]
    return keras.Model(tensors if len(tensors) > 1 else tensors[0], structure)


def is_nested(operation: Any) -> bool:
    """Whether an operation is itself a functional or sequential model, with a graph inside."""
    import keras

    return isinstance(operation, keras.Sequential) or hasattr(operation, "_nodes_by_depth")


def expand(step: Step, values: dict[int, Any], call: Callable[[Step, dict[int, Any]], Sequence[Any]] | None = None) -> list[Any]:
    """A `call` for `replay` that runs nested models step by step (each by `call`), so that the result is flat."""
    if not is_nested(step.operation):
        return [*step.call(values)]
    import keras

    inner = step.operation._functional if isinstance(step.operation, keras.Sequential) else step.operation
    tensors = keras.tree.flatten([values[id(tensor)] for tensor in step.inputs])
    inside = {id(s): t for s, t in zip(keras.tree.flatten(inner.inputs), tensors, strict=True)}
    replay(steps(inner), inside, call or expand)
    return [inside[id(tensor)] for tensor in keras.tree.flatten(inner.outputs)]


def ends(loaded: LoadedBackbone) -> dict[str, Any]:
    """Stage name -> the symbolic tensor that leaves the stage, for every stage that one can be found for.

    It is the last one, in the order of computing, that needs the stage, no later one, and has the stage's shape.
    """
    order = {stage.name: number for number, stage in enumerate(loaded.facts.stages)}
    depth: dict[int, int] = {}
    found: dict[str, Any] = {}
    for step in steps(loaded.graph):
        own = order.get(loaded.stage_of.get(step.operation.name, ""), 0)
        number = max([own, *(depth.get(id(tensor), 0) for tensor in step.inputs)])
        stage = loaded.facts.stages[number]
        for tensor in step.outputs:
            depth[id(tensor)] = number
            if not stage.shape or tuple(tensor.shape[1:]) == tuple(stage.shape):
                found[stage.name] = tensor
    return {name: found[name] for name in order if name in found}


def after(loaded: LoadedBackbone, functions: Mapping[str, Callable[[Any], Any]]) -> Any:
    """The backbone's graph with functions on the way: what follows a stage reads what its function makes of the stage's output.

    Args:
        functions: stage name -> function of a symbolic tensor, which builds layers and returns one of the same shape.

    Raises:
        ValueError: there is no such stage.
    """
    tensors = ends(loaded)
    if missing := sorted({*functions} - {*tensors}):
        raise ValueError(f"{loaded.facts.name} has no stage {missing[0]}; its stages: {', '.join(tensors)}")
    followed = {id(tensors[name]): function for name, function in functions.items()}

    def call(step: Step, values: dict[int, Any]) -> list[Any]:
        outputs = zip(step.outputs, step.call(values), strict=True)
        return [followed[id(symbol)](value) if id(symbol) in followed else value for symbol, value in outputs]

    return rebuild(loaded.graph, call)
