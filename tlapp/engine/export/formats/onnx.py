"""The ONNX file: for any runtime that reads the exchange format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts.input_export import Arrays
from tlapp.engine.export.formats.artifact import Answers, blocks, threads, timed
from tlapp.engine.export.formats.format import Asker, Classifier, Format, Material, Questions, Way, joined, labels_beside, sole
from tlapp.engine.network.known import OUTPUT
from tlapp.errors import UserError

FILE = "model.onnx"
INSTALL = "pip install 'tlapp[onnx]'"
KINDS = {"tensor(float)": "float32", "tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(uint8)": "uint8"}


class Onnx(Format):
    """An ONNX file, checked by ONNX Runtime."""

    name, file, words, library = "onnx", FILE, "for ONNX Runtime and other engines; needs tlapp[onnx]", "onnx"
    runtime = "onnxruntime"
    loading = f"""\
import onnxruntime

session = onnxruntime.InferenceSession("{FILE}")
shapes = {{each.name: each.shape for each in session.get_inputs()}}
kinds = {{each.name: "int32" if "int32" in each.type else "float32" for each in session.get_inputs()}}


def classify(inputs):
    names = [each.name for each in session.get_outputs()]
    rows = session.run(names, {{name: inputs[name].astype(kinds[name]) for name in shapes}})
    answers = dict(zip(names, rows))
    return next(answers[name] for name in names if name != "known")[0]{{known}}
"""

    def write(self, material: Material, way: Way) -> dict[str, Any]:
        try:
            model = material.receiving()
            if model is not material.model:
                model(model.inputs)  # Keras exports no model that was never called
            model.export(str(material.folder / FILE), format="onnx", verbose=False)
        except ImportError as error:
            raise UserError(f"option format=onnx: needs more packages: {INSTALL}") from error
        return {"artifact": FILE}

    def ask(self, artifact: Path, questions: Questions) -> Answers:
        ask = self.opened(artifact)
        probabilities, known = joined([ask(block) for block in blocks(questions.examples)])
        one = next(blocks(questions.examples, 1))
        return Answers(probabilities, labels_beside(artifact), timed(lambda: ask(one)), known=known)

    def open(self, artifact: Path, open_model: Any = None) -> Classifier:
        ask = self.opened(artifact)
        return lambda examples: ask(examples)[0]

    def opened(self, artifact: Path, open_model: Any = None) -> Asker:
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(f"option format=onnx: its check needs onnxruntime: {INSTALL}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        session = onnxruntime.InferenceSession(str(artifact), options, providers=["CPUExecutionProvider"])
        inputs, names = session.get_inputs(), [each.name for each in session.get_outputs()]

        def ask(block: Arrays) -> tuple[np.ndarray, np.ndarray | None]:
            named = {each.name: sole(block, each.name, len(inputs)).astype(KINDS[each.type]) for each in inputs}
            outputs = dict(zip(names, session.run(None, named), strict=True))
            known = outputs.pop(OUTPUT, None)
            return next(iter(outputs.values())), known

        return ask


FORMAT = Onnx()
