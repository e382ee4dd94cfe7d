"""TFLite files: the deployed model as built-in operations, quantised or not, with metadata inside."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts.input_export import Arrays
from tlapp.engine.export import interpreter, metadata, on_device
from tlapp.engine.export.converter import convert
from tlapp.engine.export.formats.artifact import Answers, blocks, threads, timed
from tlapp.engine.export.formats.format import Asker, Classifier, Format, Material, Questions, Way, joined
from tlapp.engine.export.quantize.dynamic import Dynamic
from tlapp.engine.export.quantize.int8 import Int8
from tlapp.engine.network.known import OUTPUT
from tlapp.errors import UserError

FILE = "model.tflite"
# 200 pictures: the converter's guide asks for 100 to 500, and each costs as much as two predictions.
CALIBRATION = 200
INT8, DYNAMIC = (tuple(Way(quantize, keep) for keep in (0, 2, 4, 8, 16)) for quantize in ("int8", "dynamic"))
LADDERS = {"int8": INT8, "dynamic": DYNAMIC, "auto": (*INT8, *DYNAMIC, Way("float16"), Way("none"))}
SELECTIVE = {"int8": Int8, "dynamic": Dynamic}
"""The networks of which some layers can stay in float; made once an export, as measuring the layers takes longest."""
# Activations stay float in a dynamic file, so that it is to be nearer to the original than int8's point of accuracy.
AGREEMENT = {"dynamic": 0.99}


class TFLite(Format):
    """A TFLite file, for phones and small devices; LiteRT and MediaPipe run it."""

    name, file, words, library = "tflite", FILE, "for phones and small devices: LiteRT, MediaPipe", "tflite"
    runtime = "litert"
    quantizations = ("none", "float16", "dynamic", "int8", "auto")
    phones, instead = True, "savedmodel"
    threads: int | None = None
    """How many a loaded file computes on; None: as many as a phone has."""
    loading = f"""\
from ai_edge_litert.interpreter import Interpreter

model = Interpreter("{FILE}").get_signature_runner()
details = model.get_input_details()
shapes = {{name: detail["shape"] for name, detail in details.items()}}


def classify(inputs):
    answers = model(**{{name: inputs[name].astype(details[name]["dtype"]) for name in shapes}})
    return answers["{{output}}"][0]{{known}}
"""

    def write(self, material: Material, way: Way) -> dict[str, Any]:
        content, layers = _content(material, way)
        says = len(material.model.outputs) > 1
        reading = {"labelling": material.labelling, "says_unknown": says, "input": material.input.facts()}
        (material.folder / FILE).write_bytes(metadata.add(content, material.facts, material.input, reading))
        return {"artifact": FILE, "kept_float": layers}

    def ask(self, artifact: Path, questions: Questions) -> Answers:
        ask = self.opened(artifact)
        try:
            labels = metadata.read_labels(artifact)
        except (KeyError, OSError, zipfile.BadZipFile) as error:
            raise UserError(f"{artifact}: does not load: {str(error).splitlines()[0]}") from error
        probabilities, known = ask(questions.examples)
        first = next(blocks(questions.examples, 1))
        return Answers(probabilities, labels, timed(lambda: ask(first)), known=known)

    def open(self, artifact: Path, open_model: Any = None) -> Classifier:
        ask = self.opened(artifact)
        return lambda examples: ask(examples)[0]

    def opened(self, artifact: Path, open_model: Any = None) -> Asker:
        return opened(artifact, count=self.threads)

    def ways(self, quantize: str, exactly: bool) -> tuple[Way, ...]:
        if quantize in LADDERS and not (exactly and quantize != "auto"):
            return LADDERS[quantize]
        return (Way(quantize),)

    def calibration(self, quantize: str) -> int:
        return CALIBRATION if quantize in LADDERS else 0

    def agreement(self, quantize: str) -> float:
        return AGREEMENT.get(quantize, 0.0)


def opened(artifact: Path, output: str | None = None, count: int | None = None) -> Asker:
    """A file, loaded; `output`: its name, where there are several; `count`: of threads.

    Raises:
        UserError: it does not load.
    """
    try:
        answer = interpreter.outputs(str(artifact), count or threads())
    except (ValueError, RuntimeError, OSError) as error:
        raise UserError(f"{artifact}: does not load: {str(error).splitlines()[0]}") from error

    def ask(examples: Arrays) -> tuple[np.ndarray, np.ndarray | None]:
        answers = (answer(one) for one in blocks(examples, 1))
        return joined([(interpreter.answer_of(each, output), each.get(OUTPUT)) for each in answers])

    return ask


def _content(material: Material, way: Way) -> tuple[bytes, list[dict[str, Any]]]:
    """The file's content, and the layers that stay in float."""
    if material.learner:
        return on_device.content(material.model, material.learner, len(material.labels), way.quantize, material.input), []
    if not way.keep:
        return convert(material.model, way.quantize, material.calibration, material.input), []
    assert material.calibration is not None, "what has a choice is calibrated"
    if way.quantize not in material.memo:
        material.memo[way.quantize] = SELECTIVE[way.quantize](material.model, material.calibration, material.input)
    network = material.memo[way.quantize]
    return network.convert(way.keep), [layer._asdict() for layer in network.in_float(way.keep)]


FORMAT = TFLite()
