"""Run a TFLite file by LiteRT, its inputs found by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tlapp.contracts.input_export import Arrays
from tlapp.tensorflow_import import silenced

_NAME = re.compile(r"(?:serving_default_)?(.+?)(?::\d+)?")


def classifier(
    path: str | None = None, threads: int | None = None, content: bytes | None = None
) -> Callable[[Arrays], np.ndarray]:
    """A function of one example, each array (1, ...), to its probabilities, (classes,); give a path or the content of a file.

    Raises:
        ValueError, RuntimeError, OSError: LiteRT does not open it.
    """
    from ai_edge_litert.interpreter import Interpreter

    with silenced():
        runtime = Interpreter(model_path=path, model_content=content, num_threads=threads)
        runtime.allocate_tensors()
    sources, target = by_name(runtime.get_input_details()), runtime.get_output_details()[0]["index"]

    def classify(example: Arrays) -> np.ndarray:
        arrays = dict(zip(sources, example.values(), strict=True)) if len(sources) == len(example) == 1 else example
        for name, (index, kind) in sources.items():
            runtime.set_tensor(index, arrays[name].astype(kind))
        runtime.invoke()
        return runtime.get_tensor(target)[0]

    return classify


def by_name(details: list[dict[str, Any]]) -> dict[str, tuple[int, Any]]:
    """Input name -> its index in the file and its dtype."""
    return {plain(each["name"]): (each["index"], each["dtype"]) for each in details}


def plain(name: str) -> str:
    """An input's own name, of the name that the converter gives its tensor: "image" of "serving_default_image:0"."""
    match = _NAME.fullmatch(name)
    return match[1] if match else name
