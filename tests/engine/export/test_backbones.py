"""Every family of backbones, and every head that is solved for, comes through the exporter."""

import numpy as np
import pytest

import tlapp
from tlapp.engine.export import converter, export
from tlapp.engine.export.formats import savedmodel
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.inputs.image_export import ImageExport

FAMILIES = ("MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", "ResNet50", "ConvNeXtTiny", "DenseNet121")
SIZE = 64


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_exports(name, tmp_path):
    import keras
    from ai_edge_litert.interpreter import Interpreter

    from tlapp.backbones.keras_applications import KerasApplications
    from tlapp.engine.export.formats import named
    from tlapp.engine.export.formats.format import Questions
    from tlapp.engine.network.deploy import answering, deployed

    graph = KerasApplications().load(name, image_size=SIZE, weights="none").graph
    model = deployed(graph, keras.layers.Dense(3), answering("softmax"))
    pictures = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8)
    expected = np.asarray(model.predict_on_batch(pictures.astype(np.float32)))
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    savedmodel.write(model, ("a", "b", "c"), tmp_path)
    found = named("savedmodel").ask(tmp_path / "1", Questions({"image": pictures}))
    assert np.abs(found.probabilities - expected).max() < 1e-3
    for quantize, allowed in (("none", 1e-3), ("float16", 0.02), ("dynamic", 0.2), ("int8", 0.4)):
        content = converter.convert(model, quantize, {"image": pictures}, ImageExport())
        lite = Interpreter(model_content=content)
        lite.allocate_tensors()
        assert not any(each["op_name"].startswith("Flex") for each in lite._get_ops_details())
        source, target = lite.get_input_details()[0], lite.get_output_details()[0]
        assert quantize != "int8" or (source["dtype"], source["quantization"]) == (np.uint8, (1.0, 0))
        for picture, row in zip(pictures, expected, strict=True):
            lite.set_tensor(source["index"], picture[None].astype(source["dtype"]))
            lite.invoke()
            assert np.abs(lite.get_tensor(target["index"])[0] - row).max() <= allowed


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["logistic", "linear-svm", "rbf-svm", "knn"])
def test_a_solved_head_exports(classifier, tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    run = tlapp.train(plugin="feature-extract", classifier=classifier, image_size=SIZE, run=str(tmp_path / "run"))
    for options in ({"format": "savedmodel"}, {"format": "tflite"}, {"format": "tflite", "quantize": "dynamic", "max_drop": 0.1}):
        assert export.export(run, ExportOptions(**options))["passed"]
