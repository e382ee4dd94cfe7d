"""Run a TFLite file by LiteRT, its inputs and outputs found by name."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from tlapp.contracts.input_export import Arrays
from tlapp.engine.network.known import OUTPUT
from tlapp.tensorflow_import import silenced

INFER, FEATURES = "infer", "features"
"""Of a file that a phone teaches: its signature that takes an example, and what that gives besides probabilities."""
_NAME = re.compile(rf"(?:serving_default_|{INFER}_)?(.+?)(?::\d+)?")


def classifier(
    path: str | None = None, threads: int | None = None, content: bytes | None = None, output: str | None = None
) -> Callable[[Arrays], np.ndarray]:
    """A function of one example, each array (1, ...), to its probabilities, (classes,); give a path or the content of a file.

    Args:
        output: its name, of a file with several; None where there is one.

    Raises:
        ValueError, RuntimeError, OSError: LiteRT does not open it, or it has no such output.
    """
    ask = outputs(path, threads, content)
    return lambda example: answer_of(ask(example), output)[0]


def answer_of(outputs: dict[str, np.ndarray], name: str | None = None) -> np.ndarray:
    """The answers among a file's outputs: those of a name, or beside what is known and the features, in which there is one more.

    Raises:
        ValueError: there is no output of that name.
    """
    target = name or min(set(outputs) - {FEATURES, OUTPUT})
    if target not in outputs:
        raise ValueError(f"has no output {target}")
    return outputs[target]


def outputs(
    path: str | None = None, threads: int | None = None, content: bytes | None = None
) -> Callable[[Arrays], dict[str, np.ndarray]]:
    """A function of one example, each array (1, ...), to all outputs of a file, (1, size) each, by name.

    Raises:
        ValueError, RuntimeError, OSError: LiteRT does not open it.
    """
    from ai_edge_litert.interpreter import Interpreter

    with silenced():
        runtime = Interpreter(model_path=path, model_content=content, num_threads=threads)
        runtime.allocate_tensors()
        ask = runtime.get_signature_runner(INFER if INFER in runtime.get_signature_list() else None)
    kinds = {name: detail["dtype"] for name, detail in ask.get_input_details().items()}
    shapes = {name: tuple(detail["shape_signature"]) for name, detail in ask.get_input_details().items()}

    def answer(example: Arrays) -> dict[str, np.ndarray]:
        arrays = dict(zip(kinds, example.values(), strict=True)) if len(kinds) == len(example) == 1 else example
        for name, array in arrays.items():  # LiteRT would resize the network's input, and answer
            shape = shapes.get(name, ())
            if len(shape) == array.ndim and any(size not in (-1, given) for size, given in zip(shape, array.shape, strict=True)):
                raise ValueError(f"it takes arrays of the shape {shape}. Received: {array.shape}")
        ignored = np.zeros_like(next(iter(example.values())))
        answers: dict[str, np.ndarray] = ask(**{name: arrays.get(name, ignored).astype(kind) for name, kind in kinds.items()})
        return answers

    return answer


def plain(name: str) -> str:
    """An input's own name, of the name that the converter gives its tensor: "image" of "serving_default_image:0"."""
    match = _NAME.fullmatch(name)
    return match[1] if match else name
