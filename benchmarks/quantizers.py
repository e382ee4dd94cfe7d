"""Ways to quantise a run's TFLite file, side by side: TensorFlow's converter, tlapp's selective ways, ai-edge-quantizer.

    pip install ai-edge-quantizer
    python benchmarks/quantizers.py RUN

Every file is held against the Keras model on the run's val and test pictures; int8 is calibrated on the same training pictures.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

import tlapp
from tlapp.contracts.input_export import Arrays
from tlapp.engine.export import converter
from tlapp.engine.export.formats import tflite
from tlapp.engine.export.formats.artifact import blocks
from tlapp.engine.export.interpreter import classifier
from tlapp.engine.export.quantize.dynamic import Dynamic
from tlapp.engine.export.quantize.int8 import Int8
from tlapp.engine.export.reference import Reference, load, reference
from tlapp.engine.report import Silent

HEADER = "| way | MB | agreement on val | on test | accuracy on val | on test |"
LATEST = {
    "dynamic_wi8_afp32": recipe.dynamic_wi8_afp32,
    "weight_only_wi8_afp32": recipe.weight_only_wi8_afp32,
    "static_wi8_ai8": recipe.static_wi8_ai8,
}


def main() -> None:
    run = tlapp.load(sys.argv[1])
    examples = load(run, None, ("val", "test"), tflite.CALIBRATION, Silent())
    with tempfile.TemporaryDirectory() as folder:
        references = [reference(run, stream, Path(folder)) for stream in examples.streams.values()]
        print(f"{HEADER}\n{'| --- ' * 6}|")
        for name, content in made(run, examples.calibration):
            print(row(name, content, references), flush=True)


def made(run: Any, calibration: Arrays) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file."""
    model, takes = run.model, run.input.export
    floats = converter.convert(model, "none", takes=takes)
    yield "float32", floats
    yield "converter, dynamic", converter.convert(model, "dynamic", takes=takes)
    mixed = Dynamic(model, calibration, takes)
    for keep in (2, 4):
        yield f"tlapp, dynamic, {keep} layers in float", mixed.convert(keep)
    for name in ("dynamic_wi8_afp32", "weight_only_wi8_afp32"):
        yield f"ai-edge-quantizer, {name}", latest(floats, name, calibration)
    yield "converter, int8", converter.convert(model, "int8", calibration, takes)
    yield "tlapp, int8, 2 layers and what they need in float", Int8(model, calibration, takes).convert(2)
    yield "ai-edge-quantizer, static_wi8_ai8", latest(floats, "static_wi8_ai8", calibration)


def latest(floats: bytes, name: str, calibration: Arrays) -> bytes:
    """By ai-edge-quantizer, from the float file, with one of its own recipes."""
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        Path(file.name).write_bytes(floats)
        work = quantizer.Quantizer(file.name, LATEST[name]())
        found = None
        if work.need_calibration:
            key, signature = next(iter(Interpreter(file.name).get_signature_list().items()))
            samples = [{signature["inputs"][0]: picture[None].astype(np.float32)} for picture in calibration["image"]]
            found = work.calibrate({key: samples})
        return bytes(work.quantize(found).quantized_model)


def row(name: str, content: bytes, references: list[Reference]) -> str:
    agree, right = [], []
    for each in references:
        said = answers(content, each.examples)
        agree.append(f"{np.mean(said == each.truth.probabilities.argmax(axis=1)):.2%}")
        right.append(f"{np.mean(said == each.truth.labels):.4f}")
    return f"| {name} | {len(content) / 1e6:.2f} | {' | '.join(agree)} | {' | '.join(right)} |"


def answers(content: bytes, examples: Arrays) -> np.ndarray:
    """The class of each picture, (n,)."""
    classify = classifier(content=content, threads=2)
    return np.array([int(classify(one).argmax()) for one in blocks(examples, 1)])


if __name__ == "__main__":
    main()
