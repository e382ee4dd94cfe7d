"""What computes a frozen front: TensorFlow, or on CPUs LiteRT where that gives the same.

LiteRT computes one example a call, on a thread a core, so that an example's activations depend on nothing else. Which of them is
faster depends on the CPU and the network (docs/results.md, "The engine of the front"). They are not timed: where they are about
equal, the last bits of a run's results would depend on what else the machine did.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tlapp.engine.cache import store
from tlapp.engine.inputs.threads import workers
from tlapp.engine.network.front import Front, digest, function
from tlapp.engine.network.lengths import is_variable
from tlapp.tensorflow_import import silenced

TENSORFLOW, LITERT = "tensorflow", "litert"
FEWEST = 1000
"""Examples from which converting, one to two seconds, pays."""
SAME = 1e-4
"""How far its activations may be from TensorFlow's, of the largest of them."""
TRIED = 8
"""Examples that both compute; what larger batches take of memory, some 500 MB more, TensorFlow does not give back."""
VERSION = 2
"""Of what the cache remembers of engines; older choices are made anew."""
CHUNK = 8
"""Examples that a thread takes at a time."""
BYTES = 2**30
"""What the weights of all interpreters may take; of a large network there are fewer, each with more threads."""
_remembered: dict[str, str] = {}
"""Of this process, by key: where the cache cannot be written, a choice stays as it is at least so long."""


class LiteFront:
    """As `Front`, by LiteRT; for inputs of a fixed shape.

    Args:
        content: the file of a graph and its boundaries, as `converted` gives it.
        cores: to compute on.

    Raises:
        Exception: of LiteRT's own kinds: it does not take the file.
    """

    def __init__(self, content: bytes, cores: int):
        self.content, self._many = content, max(1, min(cores, BYTES // len(content)))
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with silenced():
            runtimes = [_interpreter(content, max(1, cores // self._many)) for _ in range(self._many)]
        for each in runtimes:
            self._free.put(each)
        inputs, outputs = _details(runtimes[0])
        self._dtypes = [np.dtype(each["dtype"]) for each in inputs]
        self._outputs = [(tuple(each["shape"][1:].tolist()), np.dtype(each["dtype"])) for each in outputs]

    def __call__(self, arrays: Sequence[np.ndarray], report: Callable[[int], None] = lambda count: None) -> list[np.ndarray]:
        """As `Front`."""
        count = len(arrays[0])
        found = [np.empty((count, *shape), dtype) for shape, dtype in self._outputs]

        def compute(start: int) -> int:
            runtime = self._free.get()
            try:
                inputs, outputs = ([each["index"] for each in details] for details in _details(runtime))
                for row in range(start, min(start + CHUNK, count)):
                    for place, array, dtype in zip(inputs, arrays, self._dtypes, strict=True):
                        runtime.set_tensor(place, array[row : row + 1].astype(dtype))
                    runtime.invoke()
                    for place, result in zip(outputs, found, strict=True):
                        result[row] = runtime.get_tensor(place)[0]
            finally:
                self._free.put(runtime)
            return min(CHUNK, count - start)

        with ThreadPoolExecutor(self._many) as pool:
            for done in pool.map(compute, range(0, count, CHUNK)):
                report(done)
        return found


def front(graph: Any, boundaries: Sequence[Any], chosen: str) -> Front | LiteFront:
    """What computes these boundaries, by the engine that `engine` chose."""
    if chosen == TENSORFLOW:
        return Front(graph, boundaries)
    try:
        return _lite(graph, boundaries)
    except (KeyboardInterrupt, MemoryError):
        raise
    except Exception:  # what was tried converts, and a part of it does not
        return Front(graph, boundaries)


def _lite(graph: Any, boundaries: Sequence[Any]) -> LiteFront:
    """A front by LiteRT, of a file that the cache remembers."""
    key = store.key_of("litert", VERSION, _sizes(graph), [digest(graph, tensor) for tensor in boundaries])
    known = store.recall(key)
    made = LiteFront(known or converted(graph, boundaries), workers())
    if known is None:
        store.remember(key, made.content, "engines")
    return made


def engine(graph: Any, boundaries: Sequence[Any], count: int) -> str:
    """What computes boundaries of so many examples; each is tried once, whatever the weights and what follows, and remembered."""
    if count < FEWEST or is_variable(graph.inputs) or _has_gpu():
        return TENSORFLOW
    keys = [store.key_of("engine", VERSION, _sizes(graph), digest(graph, each, weights=False)) for each in boundaries]
    if not all(_recalled(key) for key in keys):
        for key, chosen in zip(keys, tried(graph, boundaries), strict=True):
            _remembered[key] = chosen
            store.remember(key, chosen.encode(), "engines")
    return LITERT if {_remembered[key] for key in keys} == {LITERT} else TENSORFLOW


def _recalled(key: str) -> bool:
    """Whether a choice is known to this process, or to the cache."""
    if key not in _remembered and (known := store.recall(key)):
        _remembered[key] = known.decode()
    return key in _remembered


def _has_gpu() -> bool:
    """Whether TensorFlow computes on something faster than a CPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _sizes(graph: Any) -> list[tuple[int | None, ...]]:
    """Of an example, which a file is made for; a boundary behind pooling is the same for all of them."""
    return [tuple(tensor.shape[1:]) for tensor in graph.inputs]


def tried(graph: Any, boundaries: Sequence[Any]) -> list[str]:
    """For each boundary LiteRT where it gives the same of noise, else TensorFlow."""
    noise = np.random.default_rng(0)
    arrays = [noise.integers(0, 256, (TRIED, *tensor.shape[1:])).astype(tensor.dtype) for tensor in graph.inputs]
    try:
        pairs = zip(Front(graph, boundaries, TRIED)(arrays), _lite(graph, boundaries)(arrays), strict=True)
    except (KeyboardInterrupt, MemoryError):
        raise
    except Exception:  # the converter raises its own kinds, by version; TensorFlow computes it as before
        return [TENSORFLOW] * len(boundaries)
    far = [float(np.abs(a - b).max() / max(float(np.abs(a).max()), 1e-9)) for a, b in pairs]
    return [LITERT if each <= SAME else TENSORFLOW for each in far]


def converted(graph: Any, boundaries: Sequence[Any]) -> bytes:
    """A TFLite file of one example a call, with an output a boundary.

    Raises:
        Exception: of the converter's own kinds: it does not convert.
    """
    import tensorflow as tf

    forward = function(graph, boundaries, 1)
    with silenced():
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([forward.get_concrete_function()], forward).convert())


def _interpreter(content: bytes, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    runtime = Interpreter(model_content=content, num_threads=threads)
    runtime.allocate_tensors()
    return runtime


def _details(runtime: Any) -> tuple[list[Any], list[Any]]:
    return runtime.get_input_details(), runtime.get_output_details()
