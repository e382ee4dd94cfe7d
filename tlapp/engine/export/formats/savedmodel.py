"""The SavedModel: arrays or whole files in, probabilities and labels or numbers out; needs nothing but TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlapp.contracts.input_export import Arrays, InputExport
from tlapp.engine.data.classes import SEPARATOR, SURE
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.export.formats import serve
from tlapp.engine.export.formats.artifact import TIMED, WARM, Answers, Latency, threads
from tlapp.engine.export.formats.format import Asker, Classifier, Format, Material, Questions, Way
from tlapp.engine.network.known import OUTPUT
from tlapp.engine.runs.folder import LABELS
from tlapp.errors import UserError
from tlapp.tensorflow_import import quiet_tensorflow, silenced
from tlapp.untrusted_files import saved_model_fault

VERSION = "1"
"""TensorFlow Serving looks for folders with a number."""
RANDOM = ("random", "multinomial", "dropout")


class SavedModel(Format):
    """A folder that TensorFlow and TensorFlow Serving load, with the labels inside."""

    name, file, words, library = "savedmodel", VERSION, "for servers: TensorFlow, TensorFlow Serving", "keras"
    loading = f"""\
import tensorflow as tf

model = tf.saved_model.load("{VERSION}").signatures["serving_default"]
specs = model.structured_input_signature[1]
shapes = {{name: spec.shape for name, spec in specs.items()}}


def classify(inputs):
    answers = model(**{{name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()}})
    return answers["{{output}}"].numpy()[0]{{known}}
"""

    def write(self, material: Material, way: Way) -> dict[str, Any]:
        return {"artifact": write(material.model, material.labels, material.folder, material.labelling, material.input)}

    def ask(self, artifact: Path, questions: Questions) -> Answers:
        """By `serve.py`, which imports TensorFlow and NumPy and nothing of ours, in a process of its own."""
        with tempfile.TemporaryDirectory() as folder:
            job, answers = Path(folder, "job.json"), Path(folder, "answers.npz")
            examples = {name: f"{number}.npy" for number, name in enumerate(questions.examples)}
            for name, file in examples.items():
                np.save(Path(folder, file), questions.examples[name])
            files = [os.path.abspath(file) for file in questions.files]
            facts = {"model": str(artifact.absolute()), "examples": examples, "files": files, "threads": threads()}
            job.write_text(json.dumps({**facts, "warm": WARM, "timed": TIMED}), encoding="utf-8")
            child = subprocess.run(  # noqa: S603 - this interpreter, on our own program
                [sys.executable, str(Path(__file__).with_name("serve.py")), str(job)],
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if child.returncode:
                lines = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
                raise UserError(f"{artifact}: does not load and run in a fresh process: {lines[-1][:300]}")
            with np.load(answers) as arrays:
                return _answers(arrays)

    def open(self, artifact: Path, open_model: Any = None) -> Classifier:
        ask = self.opened(artifact)
        return lambda examples: ask(examples)[0]

    def opened(self, artifact: Path, open_model: Any = None) -> Asker:
        quiet_tensorflow()
        with silenced():  # the first load looks for devices, and tells of those that are missing
            import tensorflow as tf

            loaded = tf.saved_model.load(str(artifact))

        def ask(examples: Arrays) -> tuple[np.ndarray, np.ndarray | None]:
            answers: dict[str, np.ndarray] = serve.asked(loaded.signatures["serving_default"], examples)  # type: ignore[no-untyped-call]
            return serve.numbers(answers), answers.get(OUTPUT)  # type: ignore[no-untyped-call]

        return ask

    def fault(self, artifact: Path) -> str:
        return saved_model_fault(artifact)


def _answers(arrays: Any) -> Answers:
    """What `serve.py` wrote down."""
    others, files = ({name.removeprefix(kind): arrays[name] for name in arrays.files if name.startswith(kind)}
                     for kind in ("examples:", "files:"))  # fmt: skip
    latency = Latency(float(arrays["median_ms"]), TIMED, threads())
    return Answers(
        arrays["probabilities"], tuple(arrays["labels"].tolist()), latency, others, files, tuple(arrays["named"].tolist()),
        arrays[OUTPUT] if OUTPUT in arrays.files else None,
    )  # fmt: skip


def write(model: Any, labels: Sequence[str], folder: Path, labelling: str = "one", input: InputExport | None = None) -> str:
    """Write `folder`/1 with the endpoint serving_default and those of the input; return its name.

    Args:
        labelling: "one", "many" or "number", the labels of an example.
        input: None for plain arrays of the names of the model's own inputs.

    Raises:
        UserError: an operation in it is random.
    """
    import tensorflow as tf

    service = tf.Module()
    # The variables, not the model: Keras would add its own functions, and refuse some layer names.
    service.weights = _variables(model)
    service.labels_file = tf.saved_model.Asset(str(folder / LABELS))
    service.labels = tf.constant(list(labels))
    takes = input or InputExport(names_of(model))
    call = _caller(model)

    def answer(*arrays: Any) -> dict[str, Any]:
        found = call(*takes.received(arrays))
        answers = dict(found) if isinstance(found, dict) else {LABELLINGS[labelling].output: found}
        named = NAMED.get(labelling)
        return answers if named is None else {**answers, "label": named(service.labels, answers["probabilities"])}

    service.__call__ = tf.function(answer)
    signatures = {"serving_default": service.__call__.get_concrete_function(*specs(model, takes.names))}
    for name, endpoint in takes.endpoints().items():
        wanted = [tf.TensorSpec(shape, kind, name=each) for each, (shape, kind) in endpoint.inputs.items()]
        whole = None if endpoint.prepare is None else tf.function(_prepared(answer, endpoint.prepare))
        signatures[name] = (whole or service.__call__).get_concrete_function(*wanted)
    refuse_random(signatures["serving_default"])
    tf.saved_model.save(service, str(folder / VERSION), signatures=signatures)
    return VERSION


def names_of(model: Any) -> tuple[str, ...]:
    """The names of a model's inputs, in its order."""
    return tuple(each.name for each in model.inputs)


def specs(model: Any, names: Sequence[str], batch: int | None = None, kinds: Sequence[str] | None = None) -> list[Any]:
    """What each input tensor of a model takes; `kinds` other than its own dtypes are cast inside."""
    import tensorflow as tf

    wanted = kinds or [each.dtype for each in model.inputs]
    shapes = [(batch, *each.shape[1:]) for each in model.inputs]
    return [tf.TensorSpec(shape, kind, name=name) for name, shape, kind in zip(names, shapes, wanted, strict=True)]


def _caller(model: Any) -> Callable[..., Any]:
    """A function of the model's input tensors, of any dtypes, in its order."""
    import tensorflow as tf

    def call(*arrays: Any) -> Any:
        cast = [tf.cast(array, each.dtype) for array, each in zip(arrays, model.inputs, strict=True)]
        return model(cast if len(cast) > 1 else cast[0], training=False)

    return call


def _prepared(answer: Callable[..., Any], prepare: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays: answer(*prepare(*arrays))


def _top(labels: Any, probabilities: Any) -> Any:
    import tensorflow as tf

    return tf.gather(labels, tf.argmax(probabilities, -1))


def _likely(labels: Any, probabilities: Any) -> Any:
    """The set of labels as a CSV holds it, such as "cat;dog"."""
    import tensorflow as tf

    parts = tf.where(probabilities > SURE, tf.strings.join([SEPARATOR, labels]), "")
    return tf.strings.regex_replace(tf.strings.reduce_join(parts, -1), f"^{SEPARATOR}", "")


NAMED: dict[str, Callable[[Any, Any], Any]] = {"one": _top, "many": _likely}
"""Labelling -> labels (classes,) and probabilities (n, classes) to the answers (n,), as strings. Numbers need none."""


def write_fixed(model: Any, folder: Path, kinds: Sequence[str] | None = None, takes: InputExport | None = None) -> str:
    """Write a SavedModel for the TFLite converter: one example in, its answers out, named as the model names them; return
    its path.

    Args:
        kinds: the dtypes that it takes, cast inside; None for the model's own.
        takes: the model's input; None for plain arrays of the names of the model's own inputs.

    Raises:
        UserError: an operation in it is random.
    """
    import tensorflow as tf

    takes = takes or InputExport(names_of(model))
    service, call = tf.Module(), _caller(model)
    service.weights = _variables(model)

    @tf.function(input_signature=fixed_specs(model, takes, kinds))
    def classify(*arrays: Any) -> dict[str, Any]:
        answers = call(*takes.received(arrays[: len(takes.names)]))
        return answers if isinstance(answers, dict) else {model.output_names[0]: answers}

    refuse_random(classify.get_concrete_function())
    tf.saved_model.save(service, str(folder), signatures={"serving_default": classify})
    return str(folder)


def fixed_specs(model: Any, takes: InputExport, kinds: Sequence[str] | None = None) -> list[Any]:
    """What each input of a TFLite file takes: one example, and further inputs like the first that the model does not read."""
    import tensorflow as tf

    own = specs(model, takes.names, 1, kinds)
    return [*own, *(tf.TensorSpec(own[0].shape, own[0].dtype, name=name) for name in takes.ignored)]


def refuse_random(function: Any) -> None:
    """Refuse a graph whose answers would differ from call to call.

    Raises:
        UserError: names the operation.
    """
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    for node in nodes:
        if any(word in node.op.lower() for word in RANDOM):
            raise UserError(f"the model holds the random operation {node.op} ({node.name}); it cannot be exported")


def _variables(model: Any) -> list[Any]:
    return [variable.value for variable in model.variables]


FORMAT = SavedModel()
