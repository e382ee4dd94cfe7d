"""The frozen front of a network as one compiled function of examples."""

from __future__ import annotations

import contextlib
import hashlib
import os
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts.graph import Step, needed, replay, steps
from tlapp.engine.inputs.threads import workers
from tlapp.engine.network.fold import fold
from tlapp.engine.network.lengths import alike, is_variable, padded
from tlapp.engine.network.net import infer

BATCH = 32
"""Examples a call: always so many, so that an example's activations do not depend on its neighbours or their number.

On some CPUs they depend on its place in a matrix product, by a last bit.
"""
STEP = 8
"""Examples of one length are computed in multiples of it."""


class Front:
    """Examples in, activations at one or several boundaries out; frozen means inference mode.

    Of examples of a fixed shape, constants are folded.

    Args:
        graph: functional model.
        boundaries: symbolic tensors of it, flat.
        batch: examples a call, of a fixed shape.
    """

    def __init__(self, graph: Any, boundaries: Sequence[Any], batch: int = BATCH):
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        self._dtypes = [tensor.dtype for tensor in graph.inputs]
        self._is_variable = is_variable(graph.inputs)
        self._shapes = [tuple(tensor.shape[1:]) for tensor in boundaries]
        self._batch = batch
        forward = function(graph, boundaries, None if self._is_variable else batch).get_concrete_function()
        # Without convolutions, constants bring no speed, and they take ten times the weights' memory.
        self._forward = forward if self._is_variable else convert_variables_to_constants_v2(forward)
        self._graph = graph if self._is_variable else None  # which keeps the variables

    def __call__(self, arrays: Sequence[np.ndarray], report: Callable[[int], None] = lambda count: None) -> list[np.ndarray]:
        """Activations at each boundary of n examples: an array (n, ...) an input, as stored.

        Examples of different lengths are computed by length, without their padding; activations of padding are zeros.

        Args:
            report: called with how many were computed, some at a time.
        """
        if self._is_variable:
            return self._by_length(arrays, report)
        found = _in_batches(self._forward, self._dtypes, self._batch, arrays)
        report(len(arrays[0]))
        return found

    @property
    def folded(self) -> Folded | None:
        """The same for a process without the network; None for examples of different lengths, whose weights are not folded."""
        if self._is_variable:
            return None
        inputs, outputs = ([tensor.name for tensor in each] for each in (self._forward.inputs, self._forward.outputs))
        return Folded(self._forward.graph.as_graph_def().SerializeToString(), inputs, outputs, _threads())

    def _by_length(self, arrays: Sequence[np.ndarray], report: Callable[[int], None]) -> list[np.ndarray]:
        results: list[np.ndarray] = []

        def computed(group: tuple[np.ndarray, list[np.ndarray]]) -> tuple[np.ndarray, list[np.ndarray]]:
            rows, parts = group
            more = np.arange(-(-len(rows) // STEP) * STEP) % len(rows)  # whole steps: the first examples once more
            return rows, _outputs(self._forward, self._dtypes, [part[more] for part in parts])

        with ThreadPoolExecutor(workers()) as pool:  # one batch of short examples keeps few cores busy
            for rows, outputs in pool.map(computed, alike(arrays, BATCH)):
                whole = [
                    padded(each[: len(rows)], shape, arrays[0].shape[1])
                    for each, shape in zip(outputs, self._shapes, strict=True)
                ]
                results = results or [np.empty((len(arrays[0]), *each.shape[1:]), each.dtype) for each in whole]
                for result, each in zip(results, whole, strict=True):
                    result[rows] = each
                report(len(rows))
        return results


class Folded(NamedTuple):
    """A front of examples of a fixed shape as a graph of TensorFlow's with its weights, and the names of its tensors.

    How many threads share an operation decides the last bits of what it gives, so that their number is told too.
    """

    graph: bytes
    inputs: list[str]
    outputs: list[str]
    threads: int

    def front(self) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
        """As `Front`, which it came from, and as many examples a call; in a process that has not used TensorFlow yet."""
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # it has
            tf.config.threading.set_intra_op_parallelism_threads(self.threads)
        definition = tf.compat.v1.GraphDef.FromString(self.graph)
        imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(definition, name=""), [])
        inputs, outputs = ([imported.graph.get_tensor_by_name(name) for name in names] for names in (self.inputs, self.outputs))
        return partial(_in_batches, imported.prune(inputs, outputs), [tensor.dtype for tensor in inputs], inputs[0].shape[0])


def _threads() -> int:
    """How many threads share an operation of TensorFlow's in this process."""
    import tensorflow as tf

    chosen = tf.config.threading.get_intra_op_parallelism_threads() or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0)
    return chosen or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _in_batches(forward: Any, dtypes: Sequence[Any], batch: int, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What a compiled function of so many examples gives for n of them, (n, ...) an output."""
    blocks = []
    for start in range(0, len(arrays[0]), batch):
        parts = [array[start : start + batch] for array in arrays]
        count = len(parts[0])
        blocks.append([output[:count] for output in _outputs(forward, dtypes, [_padded(part, batch) for part in parts])])
    return [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*blocks, strict=True)]


def _outputs(forward: Any, dtypes: Sequence[Any], parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    import tensorflow as tf

    cast = [tf.cast(tf.constant(part), dtype) for part, dtype in zip(parts, dtypes, strict=True)]
    return [output.numpy() for output in forward(*cast)]


def function(graph: Any, boundaries: Sequence[Any], batch: int | None) -> Any:
    """The front as a tf.function of batches of this many examples, with batch norms folded into convolutions."""
    import tensorflow as tf

    todo = needed(steps(graph), boundaries)
    call = fold(todo, boundaries, lambda norm: True, infer)

    @tf.function(
        input_signature=[tf.TensorSpec((batch, *tensor.shape[1:]), tensor.dtype) for tensor in graph.inputs], autograph=False
    )
    def forward(*arrays: Any) -> Any:
        values = replay(todo, {id(symbol): array for symbol, array in zip(graph.inputs, arrays, strict=True)}, call)
        return [tf.identity(values[id(tensor)]) for tensor in boundaries]

    return forward


def _padded(part: np.ndarray, batch: int) -> np.ndarray:
    """A whole batch: zeros after the last examples."""
    if len(part) == batch:
        return part
    return np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])


def digest(graph: Any, boundary: Any, weights: bool = True) -> str:
    """What a boundary's activations depend on besides the examples: the operations, their settings and their `weights`."""
    known = _described.setdefault(graph, {})
    if id(boundary) not in known:
        known[id(boundary)] = _describe(graph, boundary)
    state = hashlib.blake2b(digest_size=16)
    for words, variables in known[id(boundary)]:
        state.update(words)
        for variable in variables if weights else ():
            state.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return state.hexdigest()


_described: weakref.WeakKeyDictionary[Any, dict[int, list[tuple[bytes, Sequence[Any]]]]] = weakref.WeakKeyDictionary()
"""By graph and by boundary, what `_describe` told: a graph does not change, only its weights do."""


def _describe(graph: Any, boundary: Any) -> list[tuple[bytes, Sequence[Any]]]:
    """The operations that a boundary needs, each in words with its settings, and its variables."""
    names = {id(tensor): number for number, tensor in enumerate(graph.inputs)}
    told: list[tuple[bytes, Sequence[Any]]] = []
    for step in needed(steps(graph), [boundary]):
        words = f"{type(step.operation).__name__} {_settings(step.operation)} {_arguments(step, names)}"
        told.append((words.encode(), tuple(getattr(step.operation, "weights", ()))))
        for tensor in step.outputs:
            names[id(tensor)] = len(names)
    return [*told, (f"{names[id(boundary)]} {boundary.shape}".encode(), ())]


def _settings(operation: Any) -> list[tuple[str, str]]:
    import keras

    # Operations such as x / 128 have no settings but their arguments.
    config = operation.get_config() if isinstance(operation, keras.Layer) else {}
    return sorted((key, repr(value)) for key, value in config.items() if key != "name")


def _arguments(step: Step, names: dict[int, int]) -> str:
    import keras

    def word(value: Any) -> str:
        if id(value) in names:
            return f"tensor {names[id(value)]}"
        return value.tobytes().hex() if isinstance(value, np.ndarray) else repr(value)

    return repr(keras.tree.map_structure(word, (step.arguments.args, step.arguments.kwargs)))
