"""A TFLite file answers as the trained model does, with built-in operations only, and says what it is."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.artifacts import classify, interpreter
from helpers.flatbuffer_fields import metadata_of

from tlapp.engine.export import export
from tlapp.engine.export.options import ExportOptions
from tlapp.errors import UserError


def test_tflite_is_the_model(tflite, run, test_pictures):
    lite = interpreter(tflite)
    assert lite.get_input_details()[0]["dtype"] == np.float32
    rows = [classify(lite, picture) for picture in test_pictures[1]]
    assert np.allclose(rows, run.probabilities(test_pictures[1]), atol=1e-5)
    assert np.array_equal(rows[0], classify(lite, test_pictures[1][0]))
    assert tflite["check"]["agreement"] == 1 and tflite["check"]["n"] == len(rows)


def test_int8_takes_pixels_as_they_are(int8, tflite, test_pictures):
    lite = interpreter(int8)
    source, target = lite.get_input_details()[0], lite.get_output_details()[0]
    assert source["dtype"] == np.uint8 and source["quantization"] == (1.0, 0) and target["dtype"] == np.float32
    rows = np.array([classify(lite, picture) for picture in test_pictures[1]])
    accuracy = (rows.argmax(1) == test_pictures[0].streams["test"].labels).mean()
    assert accuracy == int8["check"]["accuracy_after"] and int8["check"]["accuracy_before"] - accuracy <= 0.05
    assert int8["check"]["accuracy_before"] > 0.6, "a model that knows nothing shows nothing"
    assert int8["check"]["bytes"] < 0.4 * tflite["check"]["bytes"]


@pytest.mark.parametrize("quantize", ["float16", "dynamic"])
def test_other_ways_of_quantising(run, tflite, quantize):
    report = export.export(run, ExportOptions(format="tflite", quantize=quantize))
    assert report["passed"] and report["check"]["bytes"] < 0.6 * tflite["check"]["bytes"]
    kinds = {np.dtype(each["dtype"]).name for each in interpreter(report).get_tensor_details()}
    assert ("float16" in kinds, "int8" in kinds) == (quantize == "float16", quantize == "dynamic")


def test_only_builtin_operations(tflite, int8):
    for report in (tflite, int8):
        names = {each["op_name"] for each in interpreter(report)._get_ops_details()}
        assert "CONV_2D" in names and not any(name.startswith(("Flex", "RANDOM", "MULTINOMIAL")) for name in names)


@pytest.mark.parametrize("which", ["tflite", "int8"])
def test_metadata_reads_back(which, request, run):
    folder = Path(request.getfixturevalue(which)["folder"])
    content = (folder / "model.tflite").read_bytes()
    with zipfile.ZipFile(folder / "model.tflite") as archive:
        assert archive.read("labels.txt") == (folder / "labels.txt").read_bytes() == b"blue\ngreen\nred\n"
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
    found = metadata_of(content)
    assert (found.text(0), found.text(2), found.text(7)) == ("run", "1", "1.0.0")
    assert which != "tflite" or found.text(4) == "Ada"
    subgraph = found.tables(3)[0]
    image, probabilities = subgraph.tables(2)[0], subgraph.tables(3)[0]
    assert image.table(3).byte(0) == 2 and image.table(3).table(1).byte(0) == 1
    normalization = image.tables(4)[0]
    assert normalization.byte(0) == 1
    assert (normalization.table(1).floats(0), normalization.table(1).floats(1)) == ((0.0,), (1.0,))
    assert (image.table(5).floats(0), image.table(5).floats(1)) == ((255.0,), (0.0,))
    assert (probabilities.tables(6)[0].text(0), probabilities.tables(6)[0].byte(2)) == ("labels.txt", 2)


def test_an_operation_without_a_counterpart_is_named():
    import keras

    from tlapp.engine.export.converter import convert

    class Odd(keras.layers.Layer):
        def call(self, x):
            import tensorflow as tf

            return tf.math.special.bessel_i0(keras.ops.mean(x, (1, 2)))

    image = keras.Input((8, 8, 3))
    with pytest.raises(UserError, match="no built-in counterpart of BesselI0"):
        convert(keras.Model(image, Odd()(image)), "none", None)
