"""What every backbone must do, whichever provider loads it."""

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from tlapp.contracts.graph import steps

ONE_OF_EACH = {
    "ConvNeXtTiny": 32,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "InceptionV3": 75,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "NASNetMobile": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "VGG16": 32,
    "Xception": 71,
}
"""A network of each family of keras.applications, at about the least size that it takes."""


ONE_OF_EACH_CV = (
    "efficientnetv1-b0",
    "efficientnetv2-b0",
    "resnet18",
    "resnet18-v2",
    "densenet121",
    "csp-darknet-tiny",
    "mobilenet-v3-small",
    "vgg16",
)


def pictures(size, count=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype("float32")


def same(ours, theirs, tolerance=1e-4):
    """Features that agree, and that are more than zeros."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    largest = np.abs(theirs).max()
    assert np.isfinite(theirs).all() and theirs.std() > 0
    np.testing.assert_allclose(ours / largest, theirs / largest, rtol=0, atol=tolerance)


def walk(loaded, crossing=1):
    """Compute the features stage by stage, each from nothing but what crosses into it, and compare with the whole network's.

    Random networks lose the picture on the way down, so the statistics of batch norm are made such that they do not.
    """
    graph, names = loaded.graph, [stage.name for stage in loaded.facts.stages]
    rng = np.random.default_rng(0)
    for variable in graph.variables:
        if variable.path.endswith(("gamma", "beta", "moving_mean", "moving_variance")):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    todo = steps(graph)
    values = {id(graph.inputs[0]): tf.constant(pictures(loaded.facts.input.size))}
    done = 0
    for name in names:
        for step in (mine := [step for step in todo if loaded.stage_of[step.operation.name] == name]):
            for symbol, value in zip(step.outputs, step.call(values), strict=True):
                values[id(symbol)] = value
        done += len(mine)
        later = {
            id(t) for step in todo if names.index(loaded.stage_of[step.operation.name]) > names.index(name) for t in step.inputs
        }
        values = {key: value for key, value in values.items() if key in later or key == id(graph.outputs[0])}
        assert 1 <= len(values) <= crossing, name
    assert done == len(todo)
    same(values[id(graph.outputs[0])], graph(pictures(loaded.facts.input.size), training=False))


def check_facts(loaded):
    """What every provider promises about its graph."""
    graph, stages = loaded.graph, loaded.facts.stages
    names = [operation.name for operation in graph.operations]
    assert len(set(names)) == len(names) and not [name for name in names if name.startswith("_")]
    assert set(names) == set(loaded.stage_of)
    assert graph.inputs[0].shape == (None, loaded.facts.input.size, loaded.facts.input.size, 3)
    assert graph.outputs[0].shape == (None, *stages[-1].shape) and len(stages[-1].shape) == 1
    assert sum(stage.params for stage in stages) == graph.count_params()
    weighted = [step.operation.name for step in steps(graph) if getattr(step.operation, "weights", ())]
    assert [name for stage in stages for name in stage.layers] == weighted
    assert len({stage.name for stage in stages}) == len(stages)


def reloaded(graph, folder):
    graph.save(folder / "graph.keras")
    return keras.saving.load_model(folder / "graph.keras", compile=False)


def check_export(graph, x, folder):
    """The same features from a SavedModel and from TFLite's built-in operations."""
    from ai_edge_litert.interpreter import Interpreter

    archive = keras.export.ExportArchive()
    archive.track(graph)
    archive.add_endpoint("serve", lambda x: graph(x, training=False), [tf.TensorSpec((None, *x.shape[1:]))])
    archive.write_out(str(folder / "export"), verbose=False)
    served = tf.saved_model.load(str(folder / "export"))
    expected = graph(x, training=False)
    same(served.serve(x), expected)
    interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_saved_model(str(folder / "export")).convert())
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, x)
    interpreter.invoke()
    same(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), expected, tolerance=1e-3)


def photograph(index, size):
    """One of scikit-learn's two photographs, the middle square of it."""
    from sklearn.datasets import load_sample_images

    picture = Image.fromarray(load_sample_images().images[index])
    side, left, top = min(picture.size), (picture.width - min(picture.size)) / 2, (picture.height - min(picture.size)) / 2
    picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return np.asarray(picture, "float32")[None]


# Stages
def chain(*layers, shape=(16, 16, 3)):
    inputs = keras.Input(shape)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)
