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

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from tlapp.engine.export.pictures import Pictures

import tlapp
from tlapp.engine.export.formats import tflite
from tlapp.engine.export.quantize.dynamic import Dynamic
from tlapp.engine.export.quantize.int8 import Selective
from tlapp.engine.export.reference import Standard, standard
from tlapp.engine.report import Silent

HEADER = "| way | MB | agreement on val | on test | accuracy on val | on test |"
LATEST = {
    "dynamic_wi8_afp32": recipe.dynamic_wi8_afp32,
    "weight_only_wi8_afp32": recipe.weight_only_wi8_afp32,
    "static_wi8_ai8": recipe.static_wi8_ai8,
}


def main() -> None:
    run = tlapp.load(sys.argv[1])
    pictures = Pictures(run, None, ("val", "test"), tflite.CALIBRATION, Silent())
    with tempfile.TemporaryDirectory() as folder:
        held = [standard(run, stream, Path(folder)) for stream in pictures.streams.values()]
        print(f"{HEADER}\n{'| --- ' * 6}|")
        for name, content in made(run.model, pictures.calibration):
            print(row(name, content, held), flush=True)


def made(model: object, calibration: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file."""
    floats = tflite.convert(model, "none", None)
    yield "float32", floats
    yield "converter, dynamic", tflite.convert(model, "dynamic", None)
    mixed = Dynamic(model, calibration)
    for keep in (2, 4):
        yield f"tlapp, dynamic, {keep} layers in float", mixed.convert(keep)
    for name in ("dynamic_wi8_afp32", "weight_only_wi8_afp32"):
        yield f"ai-edge-quantizer, {name}", latest(floats, name, calibration)
    yield "converter, int8", tflite.convert(model, "int8", calibration)
    yield "tlapp, int8, 2 layers and what they need in float", Selective(model, calibration).convert(2)
    yield "ai-edge-quantizer, static_wi8_ai8", latest(floats, "static_wi8_ai8", calibration)


def latest(floats: bytes, name: str, calibration: np.ndarray) -> bytes:
    """By ai-edge-quantizer, from the float file, with one of its own recipes."""
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        Path(file.name).write_bytes(floats)
        work = quantizer.Quantizer(file.name, LATEST[name]())
        found = None
        if work.need_calibration:
            key, signature = next(iter(Interpreter(file.name).get_signature_list().items()))
            samples = [{signature["inputs"][0]: picture[None].astype(np.float32)} for picture in calibration]
            found = work.calibrate({key: samples})
        return bytes(work.quantize(found).quantized_model)


def row(name: str, content: bytes, held: list[Standard]) -> str:
    agree, right = [], []
    for each in held:
        said = answers(content, each.pictures)
        agree.append(f"{np.mean(said == each.truth.probabilities.argmax(axis=1)):.2%}")
        right.append(f"{np.mean(said == each.truth.labels):.4f}")
    return f"| {name} | {len(content) / 1e6:.2f} | {' | '.join(agree)} | {' | '.join(right)} |"


def answers(content: bytes, pictures: np.ndarray) -> np.ndarray:
    """The class of each picture, (n,)."""
    interpreter = Interpreter(model_content=content, num_threads=2)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for picture in pictures:
        interpreter.set_tensor(source["index"], picture[None].astype(source["dtype"]))
        interpreter.invoke()
        found.append(int(interpreter.get_tensor(target["index"])[0].argmax()))
    return np.array(found)


if __name__ == "__main__":
    main()
