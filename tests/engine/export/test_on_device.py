"""A TFLite file that learns: it begins as its run, moves the means of classes as NumPy does, and its state goes out and in."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import tlapp
from tlapp.cli.main import run as command
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones, pictures


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """A run that knows two of three kinds of pictures, exported with room for two more; and pictures of the third."""
    folder = tmp_path_factory.mktemp("on_device")
    every = pictures(folder / "every", each=20)
    new = sorted(path.name for path in every.iterdir())[-1]
    shutil.move(every / new, folder / new)
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    settings = {"data": str(every), "backbone": f"file:{folder}/tiny.keras", "image_size": SIZE, "plugin": "feature-extract"}
    tlapp.train(classifier="lda", run=str(folder / "run"), **settings)
    tlapp.train(run=str(folder / "logistic"), **settings)
    tlapp.export(folder / "run", format="tflite", on_device=2)
    return folder, new


@pytest.fixture
def file(place):
    return place[0] / "run" / "export" / "tflite-on-device" / "model.tflite"


def read(folder):
    from PIL import Image

    return [
        np.asarray(Image.open(path).convert("RGB").resize((SIZE, SIZE)), "float32")[None] for path in sorted(folder.iterdir())
    ]


def opened(file):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file))
    return {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}


def test_it_begins_as_its_run_and_every_command_takes_it(place, file):
    run, export = tlapp.load(place[0] / "run"), tlapp.load(file.parent)
    assert export.labels == (*run.labels, "new 1", "new 2")
    examples = np.concatenate(read(place[0] / place[1])[:5])
    answers = export.probabilities(examples)
    np.testing.assert_allclose(answers[:, :2], run.probabilities(examples), atol=1e-5)
    assert (answers[:, 2:] == 0).all()
    assert command(["verify", str(file.parent)]) == 0
    files = sorted((place[0] / place[1]).iterdir())
    assert [each.label for each in export.predict(files)] == [each.label for each in run.predict(files)]


def test_learning_moves_the_mean_of_a_class_and_of_no_other(place, file):
    phone, images = opened(file), read(place[0] / place[1])
    before, known = phone["save"](), [phone["infer"](image=image)["features"] for image in images[:4]]
    for features in known:
        after = phone["learn"](features=features, label=np.array([2], np.int32))
    assert after["counts"].tolist() == [*before["counts"][:2], 4, 0]
    np.testing.assert_array_equal(after["means"][:, [0, 1, 3]], before["means"][:, [0, 1, 3]])
    # in the space of the means, a class's output is x m - m m / 2, over the temperature
    memory = tlapp.load(place[0] / "run").files.arrays()
    from tlapp_plugins.shared.discriminant import covariance

    scaling, within = covariance(memory["gram"], memory["sums"], float(memory["shrinkage"]))
    root = np.linalg.cholesky(np.linalg.inv(within)) / scaling.scale[:, None]
    spaces = (np.concatenate(known) - scaling.mean) @ root
    np.testing.assert_allclose(after["means"][:, 2], spaces.mean(0), atol=1e-4 * np.abs(spaces).max())
    x = (phone["infer"](image=images[9])["features"] - scaling.mean) @ root
    means = np.concatenate([before["means"][:, :2].astype(float), spaces.mean(0)[:, None]], 1)
    outputs = (x @ means - 0.5 * (means**2).sum(0)) / float(memory["temperature"])
    wanted = np.exp(outputs - outputs.max()) / np.exp(outputs - outputs.max()).sum()
    np.testing.assert_allclose(phone["infer"](image=images[9])["probabilities"][0, :3], wanted[0], atol=1e-3)


def test_a_class_that_was_taught_is_known_and_goes_to_another_phone(place, file):
    phone, images = opened(file), read(place[0] / place[1])
    for image in images[:5]:
        phone["learn"](features=phone["infer"](image=image)["features"], label=np.array([2], np.int32))
    right = [phone["infer"](image=image)["probabilities"].argmax() == 2 for image in images[5:]]
    assert np.mean(right) > 0.5  # the network has random weights: teach gives 0.73
    other = opened(file)
    assert other["infer"](image=images[9])["probabilities"][0, 2] == 0
    other["restore"](**phone["save"]())
    for name, array in phone["infer"](image=images[9]).items():
        np.testing.assert_array_equal(other["infer"](image=images[9])[name], array)


def test_what_cannot_learn_is_refused(place, tmp_path, capfd):
    with pytest.raises(UserError, match="cannot be taught without its examples"):
        tlapp.export(place[0] / "logistic", format="tflite", on_device=1, output=str(tmp_path / "no"))
    for wrong in ({"format": "tflite", "quantize": "int8"}, {"format": "savedmodel"}):
        with pytest.raises(UserError, match="is for option format=tflite with option quantize=none, float16 or dynamic"):
            tlapp.export(place[0] / "run", **wrong, on_device=1, output=str(tmp_path / "no"))
    assert command(["export", str(place[0] / "run"), "--format", "tflite", "--on-device", "0"]) == 2
    assert "--on-device" in capfd.readouterr().err and not (tmp_path / "no").exists()
