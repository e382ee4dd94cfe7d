"""A model that tells red, green and blue pictures apart, its exports and its run, made without training; a server of it."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
from contextlib import contextmanager

import numpy as np
from helpers.texts import VOCABULARY, WORDS
from PIL import Image

from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.export import golden, metadata
from tlapp.engine.inputs import read_content
from tlapp.engine.inputs.images import Images
from tlapp.engine.inputs.texts import Texts
from tlapp.engine.runs.folder import LABELS, RunFolder, label_lines
from tlapp.engine.runs.predictor import Predictor

SIZE = 8
COLOURS = {"blue": (30, 60, 200), "green": (40, 180, 60), "red": (210, 50, 40)}
NAMES = tuple(COLOURS)


def picture(colour, shape=(30, 20), kind="PNG"):
    """The bytes of a picture of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", shape, COLOURS[colour]).save(stream, kind)
    return stream.getvalue()


def network():
    """A picture -> the probabilities of the colours, in the order of their names."""
    import keras

    image = keras.Input((SIZE, SIZE, 3), name="image")
    one = keras.layers.Conv2D(3, 1, use_bias=False, name="map")  # passes on what comes: a map for heat maps
    x = keras.layers.GlobalAveragePooling2D()(one(keras.layers.Rescaling(1 / 32)(image)))
    head = keras.layers.Dense(3, name="head")
    model = keras.Model(image, keras.layers.Activation("softmax", name="probabilities")(head(x)))
    one.set_weights([np.eye(3, dtype=np.float32)[None, None]])
    head.set_weights([np.eye(3, dtype=np.float32)[:, ::-1].copy(), np.zeros(3, np.float32)])
    return model


def write_export(folder, model, quantize="none", labels=NAMES):
    """An export as `tlapp export` writes it, as far as predictions and their checks go."""
    from tlapp.engine.export.converter import convert

    input = Images(SIZE).export
    colours = np.stack([np.full((SIZE, SIZE, 3), value, np.uint8) for value in COLOURS.values()])
    folder.mkdir(parents=True)
    facts = metadata.Facts("colours", "", "1", "", "", labels)
    reading = {"labelling": "one", "input": input.facts()}
    content = convert(model, quantize, {"image": colours}, input)
    (folder / "model.tflite").write_bytes(metadata.add(content, facts, input, reading))
    (folder / LABELS).write_text(label_lines(labels))
    known = {"format": "tflite", "quantize": quantize, "artifact": "model.tflite", "labelling": "one"}
    golden.write(folder, known, input, {"image": colours}, np.eye(3))
    return folder


def write_run(folder, model):
    """A finished run of the model."""
    folder.mkdir(parents=True)
    files = RunFolder(folder)
    files.write_settings({"plugin": "freeze", "backbone": "keras-cv:efficientnet-lite0", "resize": "squash"})
    files.write_plan({"input": "image", "image_size": SIZE, "labelling": "one"})
    files.write_labels(NAMES)
    files.write_metrics({"test": {"accuracy": 1.0}})
    files.write_model(model)
    return folder


class Stub(Predictor):
    """Answers with the share of each colour, once `go` is set; counts what it was asked."""

    labels, labelling, input = NAMES, LABELLINGS["one"], Images(SIZE)

    def __init__(self, labels=NAMES):
        self.labels, self.go, self.asked, self.error = labels, threading.Event(), 0, None
        self.go.set()

    def probabilities(self, arrays):
        (images,) = arrays
        self.asked += len(images)
        self.go.wait(20)
        if self.error:
            raise self.error
        sums = images.mean((1, 2), np.float64)[:, ::-1]
        return sums / sums.sum(1, keepdims=True)


class TextStub(Stub):
    """Tells by a text's words whether it is of the sea or of the night."""

    input = Texts(VOCABULARY, max_length=8)

    def __init__(self):
        super().__init__(("sea", "night"))

    def probabilities(self, arrays):
        counts = np.stack(
            [np.isin(arrays[0], [VOCABULARY.index(word) for word in WORDS[label]]).sum(1) for label in self.labels], 1
        )
        return counts / counts.sum(1, keepdims=True)


class StubHeatMaps:
    """Says that what speaks for a class is at the top left, once `go` is set."""

    why = ""

    def __init__(self):
        self.go, self.asked = threading.Event(), []
        self.go.set()

    def of(self, content, label, most_pixels):
        from tlapp.server.heat_maps import HeatMap

        read_content(Images(SIZE), content, most_pixels)
        self.asked.append(label)
        self.go.wait(20)
        return HeatMap(label or "red", 0.9, {"x": 0.1, "y": 0.2}, "grad-cam", picture("blue", (320, 213)))


def stubbed(stub, workers=1, heat_maps=None):
    """A model as `tlapp.server.model.opened` gives it."""
    from tlapp.server.heat_maps import ALONE, HeatMaps
    from tlapp.server.model import Model

    facts = {"name": "colours", "format": "tflite", "quantize": "none", "runtime": "litert", "labels": list(stub.labels),
             "labelling": "one", "input": {"kind": stub.input.kind}}  # fmt: skip
    return Model("colours", (stub,) * workers, 1, facts, (), heat_maps or HeatMaps(ALONE, stub.input))


@contextmanager
def running(model, limits, token=None):
    """A server in a thread: its port."""
    from tlapp.server.listen import Server, bound

    with bound("127.0.0.1", 0, token) as listener:
        server = Server(model, limits, listener, token)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield Client(listener.getsockname()[1], server)
        finally:
            server.stop()
            thread.join(30)
            assert not thread.is_alive()


def until(holds):
    """Wait until something holds; it fails after twenty seconds."""
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never held")


def waiting(client):
    text = client.ask("GET", "/metrics")[1].decode()
    return int(text.partition("\ntlapp_examples_waiting ")[2].split()[0])


class Client:
    """Asks a server."""

    def __init__(self, port, server=None):
        self.port, self.server, self.url = port, server, f"http://127.0.0.1:{port}/"

    def ask(self, method, path, body=None, kind=None, headers=None):
        """Status, body and headers of an answer; the body as an object where it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {**({"Content-Type": kind} if kind else {}), **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
            of = answer.headers.get("content-type", "")
            return answer.status, json.loads(content) if of.startswith("application/json") else content, answer.headers
        finally:
            connection.close()

    def explain(self, body, kind="image/png", query="", headers=None):
        """Status and object of a heat map."""
        return self.ask("POST", f"/v1/explain{query}", body, kind, headers)[:2]

    def predict(self, body, kind="image/png", query="", headers=None):
        """Status and object of a prediction."""
        return self.ask("POST", f"/v1/predict{query}", body, kind, headers)[:2]


def form(*files, boundary="xyz"):
    """A multipart/form-data body of (name, content), and its type."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
