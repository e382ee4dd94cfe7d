"""A trial on tiny data: does this machine train, save, reload and export, and do the artifacts agree?"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import BackboneProvider
from tlapp.engine.export import converter, preflight
from tlapp.engine.export.check import FLOAT_DIFFERENCE
from tlapp.engine.export.formats import named
from tlapp.engine.export.formats.format import Questions, Way
from tlapp.engine.inputs import images
from tlapp.engine.inputs.digits import digits
from tlapp.engine.network.deploy import answering, deployed
from tlapp.engine.runs.folder import MODEL
from tlapp.engine.runs.saved import open_model
from tlapp.errors import TlappError
from tlapp.tensorflow_import import quiet_tensorflow, silenced

SIZE, COUNT = 32, 64


class Step(NamedTuple):
    """A step of the trial; `fault` is "" where it went well."""

    name: str
    fault: str
    seconds: float


class Candidate(NamedTuple):
    """A backbone that is to convert as well: its provider, its name there, and its weights as of the option backbone_weights."""

    provider: BackboneProvider
    name: str
    weights: str | None

    def converts(self) -> str:
        """Convert it with a head of two classes."""
        import keras

        backbone = self.provider.load(self.name, weights=self.weights)
        model = deployed(backbone.graph, keras.layers.Dense(2), answering("softmax"))
        converter.convert(model, "none")
        return ""


def devices() -> list[str]:
    """The kinds of the devices that TensorFlow can use, such as CPU and GPU."""
    quiet_tensorflow()
    import tensorflow as tf

    with silenced():
        return [device.device_type for device in tf.config.list_physical_devices()]


def examine(candidate: Candidate | None = None) -> Iterator[Step]:
    """The steps as they end; after a step that fails, those that need it are left out."""
    quiet_tensorflow()
    if candidate:
        yield _timed(f"{candidate.name} to TFLite", candidate.converts)
    with tempfile.TemporaryDirectory() as folder:
        steps = Trial(Path(folder)).steps()
        for name, act in steps.items():
            step = _timed(name, act)
            yield step
            if step.fault and name in ("train two steps", "save and reload"):
                return


def _timed(name: str, act: Callable[[], str]) -> Step:
    began = time.perf_counter()
    try:
        with silenced():
            fault = act()
    except Exception as error:  # whatever is wrong with this machine is the finding
        fault = str(error).splitlines()[0] if isinstance(error, TlappError) else f"{type(error).__name__}: {error}"
    return Step(name, fault, time.perf_counter() - began)


class Trial:
    """A tiny network on scikit-learn's digits, and what was made of it so far."""

    def __init__(self, folder: Path):
        self.folder = folder
        pictures, labels = digits()
        self.pictures = np.stack([images.from_array(picture, SIZE) for picture in pictures[:COUNT]])
        self.labels = np.asarray(labels[:COUNT])
        self.classes, self.takes = tuple(map(str, range(10))), images.Images(SIZE).export
        self.expected = np.zeros((COUNT, 10), np.float32)
        self.model: Any = None

    def steps(self) -> dict[str, Callable[[], str]]:
        """Name -> a step, which returns what is wrong."""
        return {
            "train two steps": self.train,
            "save and reload": self.reload,
            "SavedModel": lambda: self.parity("savedmodel"),
            "TFLite": lambda: self.parity("tflite"),
            "TFLite int8": lambda: self.parity("tflite", "int8", 0.2),
        }

    def train(self) -> str:
        """Two steps of gradient descent on all the pictures."""
        import keras

        image = keras.Input((SIZE, SIZE, 3))
        x = keras.layers.Rescaling(1 / 128, -1)(image)
        x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
        x = keras.layers.BatchNormalization()(keras.layers.DepthwiseConv2D(3, activation="relu")(x))
        graph = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
        head = keras.layers.Dense(10)
        model = keras.Model(image, head(graph.outputs[0]))
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
        losses = [float(model.train_on_batch(self.pictures.astype(np.float32), self.labels)) for _ in range(2)]
        self.model = deployed(graph, head, answering("softmax"))
        self.expected = self.predict()
        return "" if np.isfinite(losses).all() else f"the losses are {losses}"

    def reload(self) -> str:
        """Write the model and read it back."""
        self.model.save(self.folder / MODEL)
        self.model = open_model(self.folder / MODEL)
        return self.compared(self.predict(), FLOAT_DIFFERENCE)

    def parity(self, kind: str, quantize: str = "none", allowed: float = FLOAT_DIFFERENCE) -> str:
        """Export to a format and run the artifact on the same pictures."""
        examples = {"image": self.pictures}
        path = preflight.write(self.model, kind, self.classes, self.folder, self.takes, way=Way(quantize), calibration=examples)
        return self.compared(named(kind).ask(path, Questions(examples)).probabilities, allowed)

    def predict(self) -> np.ndarray:
        """What the Keras model says."""
        return np.asarray(self.model.predict_on_batch(self.pictures.astype(np.float32)))

    def compared(self, probabilities: np.ndarray, allowed: float) -> str:
        """What is wrong with these probabilities."""
        largest = float(np.abs(probabilities - self.expected).max())
        return "" if largest <= allowed else f"its probabilities differ from Keras's by up to {largest:.4f}"
