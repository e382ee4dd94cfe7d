"""The SavedModel: raw pictures or encoded ones in, probabilities and labels out; needs nothing but TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tlapp.engine.data.labelling import SEPARATOR, SURE
from tlapp.errors import UserError

VERSION = "1"
"""TensorFlow Serving looks for folders with a number."""
RANDOM = ("random", "multinomial", "dropout")


def write(model: Any, labels: Sequence[str], folder: Path, labelling: str = "one") -> str:
    """Write `folder`/1 with the endpoints serving_default, serve_uint8 and serve_bytes; return its name.

    Args:
        labelling: "one" or "many", the labels of a picture.

    Raises:
        UserError: an operation in it is random.
    """
    import tensorflow as tf

    from tlapp.engine.inputs import decode_in_graph

    size = int(model.inputs[0].shape[1])
    names = folder / "labels.txt"
    service = tf.Module()
    # The variables, not the model: Keras would add its own functions, and refuse some layer names.
    service.weights = _variables(model)
    service.labels_file = tf.saved_model.Asset(str(names))
    service.labels = tf.constant(list(labels))

    def answer(image: Any) -> dict[str, Any]:
        probabilities = model(tf.cast(image, tf.float32), training=False)
        return {"probabilities": probabilities, "label": NAMED[labelling](service.labels, probabilities)}

    def endpoint(kind: Any) -> Any:
        return answer_any.get_concrete_function(tf.TensorSpec((None, size, size, 3), kind, name="image"))

    answer_any = tf.function(answer)
    service.__call__ = answer_any
    signatures = {
        "serving_default": endpoint(tf.float32),
        "serve_uint8": endpoint(tf.uint8),
        "serve_bytes": tf.function(lambda contents: answer(decode_in_graph.squares(contents, size))).get_concrete_function(
            tf.TensorSpec((None,), tf.string, name="contents")
        ),
    }
    refuse_random(signatures["serving_default"])
    tf.saved_model.save(service, str(folder / VERSION), signatures=signatures)
    return VERSION


def _top(labels: Any, probabilities: Any) -> Any:
    import tensorflow as tf

    return tf.gather(labels, tf.argmax(probabilities, -1))


def _likely(labels: Any, probabilities: Any) -> Any:
    """The set of labels as a CSV holds it, such as "cat;dog"."""
    import tensorflow as tf

    parts = tf.where(probabilities > SURE, tf.strings.join([SEPARATOR, labels]), "")
    return tf.strings.regex_replace(tf.strings.reduce_join(parts, -1), f"^{SEPARATOR}", "")


NAMED: dict[str, Callable[[Any, Any], Any]] = {"one": _top, "many": _likely}
"""Labelling -> labels (classes,) and probabilities (n, classes) to the answers (n,), as strings."""


def write_fixed(model: Any, folder: Path, kind: str = "float32") -> str:
    """Write a SavedModel for the TFLite converter: one picture of type `kind` in, its probabilities out; return its path.

    Raises:
        UserError: an operation in it is random.
    """
    import tensorflow as tf

    service = tf.Module()
    service.weights = _variables(model)
    shape = (1, *model.inputs[0].shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, kind, name="image")])
    def classify(image: Any) -> dict[str, Any]:
        return {"probabilities": model(tf.cast(image, tf.float32), training=False)}

    refuse_random(classify.get_concrete_function())
    tf.saved_model.save(service, str(folder), signatures={"serving_default": classify})
    return str(folder)


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
