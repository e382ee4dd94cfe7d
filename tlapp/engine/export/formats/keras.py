"""The Keras file: a copy of the run's own model, or that model behind what its input makes of the arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.engine.export.formats.artifact import Answers, blocks, timed
from tlapp.engine.export.formats.format import Asker, Classifier, Format, Material, Questions, Way, joined, labels_beside, sole
from tlapp.engine.network.known import OUTPUT, PROBABILITIES
from tlapp.engine.runs.folder import MODEL
from tlapp.engine.runs.saved import open_model
from tlapp.errors import UserError


class Keras(Format):
    """A copy of the run's model, for programs that have Keras."""

    name, file, words, library = "keras", MODEL, "for programs in Python with Keras", "keras"
    loading = f"""\
import keras

model = keras.saving.load_model("{MODEL}", compile=False)
shapes = {{each.name: each.shape for each in model.inputs}}


def classify(inputs):
    arrays = [inputs[each.name].astype(each.dtype) for each in model.inputs]
    answers = model.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0)
    return (answers["{{output}}"] if isinstance(answers, dict) else answers)[0]{{known}}
"""

    def write(self, material: Material, way: Way) -> dict[str, Any]:
        path, model = material.folder / MODEL, material.receiving()
        if material.model_file is None or model is not material.model or len(model.outputs) > 1:
            model.save(path)
        else:
            path.write_bytes(material.model_file.read_bytes())
        return {"artifact": MODEL}

    def ask(self, artifact: Path, questions: Questions) -> Answers:
        model = _opened(artifact, questions.open_model)
        probabilities, known = joined([_asked(model, block) for block in blocks(questions.examples)])
        one = arrays(model, next(blocks(questions.examples, 1)))
        latency = timed(lambda: model(one, training=False))
        return Answers(probabilities, labels_beside(artifact), latency, known=known)

    def open(self, artifact: Path, open_model: Callable[[Path], Any] = open_model) -> Classifier:
        ask = self.opened(artifact, open_model)
        return lambda examples: ask(examples)[0]

    def opened(self, artifact: Path, open_model: Callable[[Path], Any] = open_model) -> Asker:
        model = _opened(artifact, open_model)
        return lambda examples: _asked(model, examples)


def _asked(model: Any, examples: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    answers = model.predict_on_batch(arrays(model, examples))
    if not isinstance(answers, dict):
        return np.asarray(answers), None
    return np.asarray(answers[PROBABILITIES]), np.asarray(answers[OUTPUT])


def _opened(artifact: Path, open_model: Callable[[Path], Any]) -> Any:
    try:
        return open_model(artifact)
    except (ValueError, TypeError) as error:
        raise UserError(f"{artifact}: does not load: {str(error).splitlines()[0]}") from error


def arrays(model: Any, examples: Mapping[str, np.ndarray]) -> Any:
    """Examples as a Keras model takes them: an array, or several in its order."""
    inputs = model.inputs
    inside = [np.asarray(sole(examples, each.name, len(inputs)), each.dtype) for each in inputs]
    return inside if len(inside) > 1 else inside[0]


FORMAT = Keras()
